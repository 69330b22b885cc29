(** Finite changes of the sizes, for any class of models: the two-sided inequality and its converse.

    A class of models is any type [model] with a loss [L_i(theta)] for every dataset [i] and model [theta].  Nothing
    is smooth, and nothing is a token tree.  Sizes are any numbers, of an ordered ring. *)

From mathcomp Require Import all_ssreflect all_algebra.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Definitions.

Variables (R : realDomainType) (dataset : finType).

(** n . g = sum_i n_i g_i. *)
Definition dot (n g : dataset -> R) : R := \sum_i n i * g i.

(** g' - g, the changes of the rates. *)
Definition change (g g' : dataset -> R) (i : dataset) : R := g' i - g i.

Variables (model : Type) (L : dataset -> model -> R).

(** g_i = L_i(theta), the rates of the datasets under a model. *)
Definition rates (theta : model) (i : dataset) : R := L i theta.

(** F_n(theta) = sum_i n_i L_i(theta). *)
Definition total_loss (n : dataset -> R) (theta : model) : R := \sum_i n i * L i theta.

(** theta minimises F_n. *)
Definition minimiser (n : dataset -> R) (theta : model) : Prop :=
  forall other, total_loss n theta <= total_loss n other.

(** theta is within e of the infimum of F_n. *)
Definition minimiser_within (e : R) (n : dataset -> R) (theta : model) : Prop :=
  forall other, total_loss n theta <= total_loss n other + e.

End Definitions.

Section Dot.

Variables (R : realDomainType) (dataset : finType).
Implicit Types n g : dataset -> R.

Lemma dotB n g g' : dot n (change g g') = dot n g' - dot n g.
Proof. by rewrite /dot -sumrB; apply: eq_bigr => i _; rewrite mulrBr. Qed.

Lemma dotBl n n' g : dot (change n n') g = dot n' g - dot n g.
Proof. by rewrite /dot -sumrB; apply: eq_bigr => i _; rewrite mulrBl. Qed.

Lemma dot_grown n n' g (t : dataset) (delta : R) :
  n' t = n t + delta -> (forall i, i != t -> n' i = n i) -> dot n' g = dot n g + delta * g t.
Proof.
move=> grown same; rewrite /dot (bigD1 t) //= [in RHS](bigD1 t) //= grown mulrDl.
rewrite (eq_bigr (fun i => n i * g i)) => [|i /same -> //].
by rewrite addrAC.
Qed.

End Dot.

Section FiniteChanges.

Variables (R : realDomainType) (dataset : finType) (model : Type) (L : dataset -> model -> R).
Implicit Types (n : dataset -> R) (theta : model).

(** For any sizes and any two models, n . (g' - g) = F_n(theta') - F_n(theta). *)
Theorem change_of_rates n theta theta' :
  dot n (change (rates L theta) (rates L theta')) = total_loss L n theta' - total_loss L n theta.
Proof. by rewrite dotB. Qed.

(** Models within e and e' of the infima of F_n and F_n': n . (g' - g) >= -e, n' . (g' - g) <= e' and
    (n' - n) . (g' - g) <= e + e'. *)
Theorem finite_changes_within (e e' : R) n n' theta theta' :
  minimiser_within L e n theta -> minimiser_within L e' n' theta' ->
  [/\ - e <= dot n (change (rates L theta) (rates L theta')),
      dot n' (change (rates L theta) (rates L theta')) <= e' &
      dot (change n n') (change (rates L theta) (rates L theta')) <= e + e'].
Proof.
move=> /(_ theta') low /(_ theta) high.
have H1 : - e <= dot n (change (rates L theta) (rates L theta')).
  by rewrite change_of_rates ler_subr_addr addrC ler_subl_addr.
have H2 : dot n' (change (rates L theta) (rates L theta')) <= e'.
  by rewrite change_of_rates ler_subl_addr addrC.
by split=> //; rewrite dotBl ler_subl_addr -(addrC e') -addrA ler_paddr // -ler_subl_addl sub0r.
Qed.

Lemma minimiser_within0 n theta : minimiser L n theta -> minimiser_within L 0 n theta.
Proof. by move=> min other; rewrite addr0. Qed.

(** For minimisers of F_n and F_n': n . (g' - g) >= 0 >= n' . (g' - g).  Any choice of minimisers will do. *)
Theorem two_sided_inequality n n' theta theta' :
  minimiser L n theta -> minimiser L n' theta' ->
  0 <= dot n (change (rates L theta) (rates L theta')) /\
  dot n' (change (rates L theta) (rates L theta')) <= 0.
Proof.
move=> /minimiser_within0 low /minimiser_within0 high.
by have [] := finite_changes_within low high; rewrite oppr0.
Qed.

(** For minimisers of F_n and F_n': (n' - n) . (g' - g) <= 0. *)
Theorem monotone_rates n n' theta theta' :
  minimiser L n theta -> minimiser L n' theta' ->
  dot (change n n') (change (rates L theta) (rates L theta')) <= 0.
Proof.
move=> /minimiser_within0 low /minimiser_within0 high.
by have [_ _] := finite_changes_within low high; rewrite addr0.
Qed.

Section OneDatasetGrows.

Variables (n n' : dataset -> R) (t : dataset) (delta : R) (theta theta' : model).
Hypothesis grown : n' t = n t + delta.
Hypothesis same : forall i, i != t -> n' i = n i.
Hypothesis (optimal : minimiser L n theta) (optimal' : minimiser L n' theta').
Let g := rates L theta.
Let g' := rates L theta'.

(** Only n_t grows, by delta (or shrinks, delta < 0): 0 <= n . (g' - g) <= -delta (g'_t - g_t). *)
Theorem one_dataset_grows :
  0 <= dot n (change g g') /\ dot n (change g g') <= - (delta * (g' t - g t)).
Proof.
have [low high] := two_sided_inequality optimal optimal'; split=> //.
by rewrite -subr_ge0 -opprD oppr_ge0 addrC -(dot_grown (change g g') grown same).
Qed.

(** More of a dataset never raises its own rate: if n_t grows, by delta > 0, then g'_t <= g_t. *)
Theorem own_rate_falls : 0 < delta -> g' t <= g t.
Proof.
move=> pos; have [low high] := one_dataset_grows.
by have := le_trans low high; rewrite oppr_ge0 pmulr_rle0 // subr_le0.
Qed.

(** The moves of all other rates obey the inverse proportion up to the data added.  If n_t grows by
    delta > 0: n_t |g'_t - g_t| <= sum_(i <> t) n_i (g'_i - g_i) <= (n_t + delta) |g'_t - g_t|. *)
Theorem inverse_proportion_up_to_growth : 0 < delta ->
  n t * `|g' t - g t| <= \sum_(i | i != t) n i * (g' i - g i) /\
  \sum_(i | i != t) n i * (g' i - g i) <= (n t + delta) * `|g' t - g t|.
Proof.
move=> pos; have [low high] := one_dataset_grows.
rewrite ler0_norm ?subr_le0 ?own_rate_falls // !mulrN mulrDl opprD.
have split_t : dot n (change g g') = n t * (g' t - g t) + \sum_(i | i != t) n i * (g' i - g i).
  by rewrite /dot (bigD1 t).
rewrite split_t in low high; split; first by rewrite -subr_ge0 opprK addrC.
by rewrite addrC ler_subr_addr addrC.
Qed.

End OneDatasetGrows.

End FiniteChanges.

Section Converse.

Variables (R : realDomainType) (dataset : finType) (run : Type).
Variables (n g : run -> dataset -> R).

(** Run b's model against run a's own on run a's data: a run left at least n^a . (g^a - g^b) on the table.  In any
    class of models that has the models of both runs, if run a's model is within e of the infimum of its F, then
    n^a . (g^a - g^b) <= e. *)
Theorem violation_is_regret (model : Type) (L : dataset -> model -> R) (theta : run -> model) (a b : run) (e : R) :
  (forall r i, L i (theta r) = g r i) -> minimiser_within L e (n a) (theta a) ->
  dot (n a) (change (g b) (g a)) <= e.
Proof.
move=> table; have loss r : total_loss L (n a) (theta r) = dot (n a) (g r).
  by apply: eq_bigr => i _; rewrite table.
by move=> /(_ (theta b)); rewrite !loss dotB ler_subl_addr addrC.
Qed.

(** The converse (Afriat, Varian): a table of runs, with sizes n^a and rates g^a, comes from exact minimisers of SOME
    class of models if and only if n^a . g^a <= n^a . g^b for all runs a and b.  The table may have any number of
    runs. *)
Theorem table_comes_from_minimisers :
  (exists (model : Type) (L : dataset -> model -> R) (theta : run -> model),
     (forall a i, L i (theta a) = g a i) /\ (forall a, minimiser L (n a) (theta a)))
  <-> (forall a b, dot (n a) (g a) <= dot (n a) (g b)).
Proof.
split=> [[model [L [theta [table optimal]]]] a b | no_violation].
  have := violation_is_regret b table (minimiser_within0 (optimal a)).
  by rewrite dotB subr_le0.
by exists run, (fun i a => g a i), id; split=> // a b; apply: no_violation.
Qed.

End Converse.
