(** The star theorem: the more alignment, the more data it takes to undo it.

    Pre-training p_p, alignment data p_a and new data p_b are points of any vector space over an ordered field, such as
    the vectors of leaf masses.  A model is near p_p when it lies in a set that is star-shaped about p_p. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import reals sequences exp.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** b is the least amount of data that is enough. *)
Definition least (R : realFieldType) (enough : R -> Prop) (b : R) : Prop :=
  [/\ 0 <= b, enough b & forall other, 0 <= other -> enough other -> b <= other].

Section Star.

Variables (R : realFieldType) (space : lmodType R) (p_p p_a p_b : space).

(** The model in the plane of coordinates (alpha, beta): p_p + alpha (p_a - p_p) + beta (p_b - p_p). *)
Definition at_coordinates (alpha beta : R) : space := p_p + (alpha *: (p_a - p_p) + beta *: (p_b - p_p)).

(** Joint training by counts, on n_p, a and b of D_p, D_a and D_b: (n_p p_p + a p_a + b p_b) / (n_p + a + b). *)
Definition counts_model (n_p a b : R) : space := (n_p + a + b)^-1 *: (n_p *: p_p + a *: p_a + b *: p_b).

(** Fine-tuning in fixed steps, first on D_a until a share u of the start is kept, then on D_b until a share v is kept:
    v (u p_p + (1 - u) p_a) + (1 - v) p_b. *)
Definition tuned_model (u v : R) : space := v *: (u *: p_p + (1 - u) *: p_a) + (1 - v) *: p_b.

(** A set of models is star-shaped about p_p when it has, with every model, the segment from p_p to it. *)
Definition star_shaped (near : space -> Prop) : Prop :=
  forall q s, near q -> 0 <= s -> s <= 1 -> near (p_p + s *: (q - p_p)).

Lemma coordinates (rest alpha beta : R) : rest + alpha + beta = 1 ->
  rest *: p_p + alpha *: p_a + beta *: p_b = at_coordinates alpha beta.
Proof.
move=> sum1; have -> : rest = 1 - (alpha + beta) by rewrite -sum1 -addrA addrK.
rewrite /at_coordinates scalerBl scale1r !scalerBr scalerDl -!addrA; congr (_ + _).
by rewrite addrA opprD [RHS]addrCA -!addrA; congr (_ + _); rewrite addrCA [_ + beta *: _]addrC.
Qed.

Lemma counts_coordinates (n_p a b : R) : n_p + a + b != 0 ->
  counts_model n_p a b = at_coordinates (a / (n_p + a + b)) (b / (n_p + a + b)).
Proof.
move=> total; rewrite -(@coordinates (n_p / (n_p + a + b))); last by rewrite -!mulrDl divff.
by rewrite /counts_model !scalerDr !scalerA ![_^-1 * _]mulrC.
Qed.

Lemma tuned_coordinates (u v : R) : tuned_model u v = at_coordinates (v * (1 - u)) (1 - v).
Proof.
rewrite -(@coordinates (v * u)); last by rewrite -mulrDr addrCA subrr addr0 mulr1 addrCA subrr addr0.
by rewrite /tuned_model scalerDr !scalerA.
Qed.

Variable near : space -> Prop.
Hypothesis star : star_shaped near.

Lemma towards_p (s alpha beta : R) : 0 <= s -> s <= 1 ->
  near (at_coordinates alpha beta) -> near (at_coordinates (s * alpha) (s * beta)).
Proof.
move=> s_ge0 s_le1 /star/(_ s_ge0 s_le1).
by rewrite /at_coordinates addrAC subrr add0r scalerDr !scalerA.
Qed.

Section Counts.

Variable n_p : R.
Hypothesis n_p_gt0 : 0 < n_p.

(** By counts: if b examples of D_b are enough after a examples of D_a, then r b are enough after r a, for any r from 0
    to 1. *)
Theorem star_counts_in_proportion (a b r : R) : 0 <= a -> 0 <= b -> 0 <= r -> r <= 1 ->
  near (counts_model n_p a b) -> near (counts_model n_p (r * a) (r * b)).
Proof.
move=> a_ge0 b_ge0 r_ge0 r_le1.
have total : 0 < n_p + a + b by rewrite -addrA ltr_paddr ?addr_ge0.
have total' : 0 < n_p + r * a + r * b by rewrite -addrA ltr_paddr ?addr_ge0 ?mulr_ge0.
rewrite !counts_coordinates ?gt_eqF // => /(@towards_p (r * (n_p + a + b) / (n_p + r * a + r * b))).
have scaled z : r * (n_p + a + b) / (n_p + r * a + r * b) * (z / (n_p + a + b)) = r * z / (n_p + r * a + r * b).
  by rewrite mulf_div [r * _ * z]mulrAC -mulf_div divff ?mulr1 ?gt_eqF.
rewrite !scaled; apply; first by rewrite divr_ge0 ?mulr_ge0 // ltW.
by rewrite ler_pdivr_mulr // mul1r -!addrA !mulrDr ler_add2r ler_pimull // ltW.
Qed.

(** The star theorem, by counts: the least |D_b| is non-decreasing in |D_a|.  If b is the least after a examples of D_a
    and b' the least after a' <= a, then b' <= b; even b' / a' <= b / a where a' > 0.  (Least means attained: nothing is
    said of sizes after which no amount is enough, or an infimum is not attained.) *)
Theorem star_theorem_counts (a a' b b' : R) : 0 <= a' -> a' <= a ->
  least (fun z => near (counts_model n_p a z)) b -> least (fun z => near (counts_model n_p a' z)) b' ->
  b' <= b /\ (0 < a' -> b' / a' <= b / a).
Proof.
move=> a'_ge0 a'_le [b_ge0 enough _] [_ _ is_least].
have [a_gt0|a_le0] := ltP 0 a; last first.
  have same : a' = a by apply/le_anti; rewrite a'_le (le_trans a_le0).
  split; first by apply: is_least; rewrite ?same.
  by move/lt_le_trans/(_ a'_le); rewrite ltNge a_le0.
have r_ge0 : 0 <= a' / a by rewrite divr_ge0 // ltW.
have r_le1 : a' / a <= 1 by rewrite ler_pdivr_mulr ?mul1r.
have := star_counts_in_proportion (ltW a_gt0) b_ge0 r_ge0 r_le1 enough.
rewrite divfK ?gt_eqF // => /(is_least _ (mulr_ge0 r_ge0 b_ge0)) b'_le; split.
  by apply: le_trans b'_le _; rewrite ler_pimull.
by move=> a'_gt0; rewrite ler_pdivr_mulr // mulrAC [b * _]mulrC mulrAC.
Qed.

End Counts.

Lemma fixed_steps_coordinates (c c' v : R) : 0 < c -> 0 <= c' -> c' <= c -> 0 < v -> v <= 1 ->
  near (at_coordinates (v * c) (1 - v)) ->
  exists v', [/\ v <= v', v' <= 1 & near (at_coordinates (v' * c') (1 - v'))].
Proof.
move=> c_gt0 c'_ge0 c'_le v_gt0 v_le1 near_v.
pose d := v * c + (1 - v) * c'.
have d_gt0 : 0 < d by rewrite ltr_paddr ?mulr_gt0 // mulr_ge0 // subr_ge0.
have d_le : d <= c.
  rewrite -[X in _ <= X]mul1r -[X in _ <= X * _](subrK v) mulrDl addrC ler_add2l.
  by rewrite ler_wpmul2l // subr_ge0.
have c'_le_d : c' <= d.
  rewrite -[X in X <= _]mul1r -[X in X * _ <= _](subrK v) mulrDl addrC ler_add2r.
  by rewrite ler_wpmul2l // ltW.
exists (v * c / d); split.
- by rewrite ler_pdivl_mulr // ler_pmul2l.
- by rewrite ler_pdivr_mulr // mul1r ler_addl mulr_ge0 // subr_ge0.
have s_le1 : c' / d <= 1 by rewrite ler_pdivr_mulr // mul1r.
have := towards_p (divr_ge0 c'_ge0 (ltW d_gt0)) s_le1 near_v.
have -> : c' / d * (v * c) = v * c / d * c' by rewrite [LHS]mulrC mulrA mulrAC.
suff -> : c' / d * (1 - v) = 1 - v * c / d by [].
have rest : d - v * c = (1 - v) * c' by rewrite /d addrAC subrr add0r.
by rewrite -[X in X - _](divff (lt0r_neq0 d_gt0)) -mulrBl rest mulrAC [c' * _]mulrC.
Qed.

(** In fixed steps: if after an alignment that kept the share u of p_p it is enough to go on until the share v is kept,
    then after a shorter alignment, which kept u' >= u, it is enough to go on until some v' >= v is kept. *)
Theorem star_fixed_steps (u u' v : R) : u <= u' -> u' <= 1 -> u < 1 -> 0 < v -> v <= 1 ->
  near (tuned_model u v) -> exists v', [/\ v <= v', v' <= 1 & near (tuned_model u' v')].
Proof.
move=> u_le u'_le u_lt1 v_gt0 v_le1.
rewrite tuned_coordinates => /fixed_steps_coordinates near_v.
have [|||//|//|v' [v_le v'_le1 near_v']] := near_v (1 - u'); rewrite ?subr_gt0 ?subr_ge0 ?ler_add2l ?ler_opp2 //.
by exists v'; rewrite tuned_coordinates.
Qed.

End Star.

Section FixedSteps.

Variables (R : realType) (space : lmodType R) (p_p p_a p_b : space) (eta : R).
Hypothesis eta_gt0 : 0 < eta.
Hypothesis eta_lt1 : eta < 1.

(** (1 - eta)^n, the share of its start that a model keeps after n examples with the fixed step eta.  n is any real. *)
Definition kept (n : R) : R := expR (n * ln (1 - eta)).

Lemma log_kept_lt0 : ln (1 - eta) < 0.
Proof. by rewrite -(ln1 R) ltr_ln ?posrE ?subr_gt0 ?ltr01 // ltr_subl_addr ltr_addl. Qed.

Lemma kept_le (n n' : R) : n' <= n -> kept n <= kept n'.
Proof. by move=> le_n; rewrite ler_expR ler_nmul2r ?log_kept_lt0. Qed.

Lemma kept_onto (v : R) : 0 < v -> exists n, kept n = v.
Proof.
move=> v_gt0; exists (ln v / ln (1 - eta)).
by rewrite /kept divfK ?lt_eqF ?log_kept_lt0 // lnK ?posrE.
Qed.

Lemma kept_le_inv (n n' : R) : kept n <= kept n' -> n' <= n.
Proof. by rewrite ler_expR ler_nmul2r ?log_kept_lt0. Qed.

(** The star theorem, in fixed steps: the least |D_b| is non-decreasing in |D_a|.  If near is star-shaped about p_p, b
    is the least after a examples of D_a and b' the least after a' <= a, then b' <= b. *)
Theorem star_theorem_fixed_steps (near : space -> Prop) (a a' b b' : R) :
  star_shaped p_p near -> 0 <= a' -> a' <= a ->
  least (fun z => near (tuned_model p_p p_a p_b (kept a) (kept z))) b ->
  least (fun z => near (tuned_model p_p p_a p_b (kept a') (kept z))) b' ->
  b' <= b.
Proof.
move=> star a'_ge0 a'_le [b_ge0 enough _] [_ _ is_least].
have [a_gt0|a_le0] := ltP 0 a; last first.
  have same : a' = a by apply/le_anti; rewrite a'_le (le_trans a_le0).
  by apply: is_least; rewrite ?same.
have kept0 : kept 0 = 1 by rewrite /kept mul0r expR0.
have kept_le1 n : 0 <= n -> kept n <= 1 by rewrite -kept0; apply: kept_le.
have a_kept : kept a < 1 by rewrite -kept0 ltr_expR ltr_nmul2r ?log_kept_lt0.
have [v [v_ge v_le1 near_v]] :=
  star_fixed_steps star (kept_le a'_le) (kept_le1 _ a'_ge0) a_kept (expR_gt0 _) (kept_le1 _ b_ge0) enough.
have [z z_kept] := kept_onto (lt_le_trans (expR_gt0 _) v_ge).
rewrite -z_kept in v_ge v_le1 near_v.
apply: le_trans (is_least z _ near_v) (kept_le_inv v_ge).
by apply: kept_le_inv; rewrite kept0.
Qed.

End FixedSteps.

Section StarShaped.

Variables (R : realFieldType) (space : lmodType R) (p_p : space).

(** Every divergence D that is convex in the model, and least at p_p, has star-shaped neighbourhoods {q : D(q) <= eps}.
    D may be finite on some models only, a set that is itself star-shaped about p_p.  (The f-divergences, in either
    order, are such; that they are convex is not proved here.) *)
Theorem convex_star_shaped (finite : space -> Prop) (D : space -> R) (eps : R) :
  (forall q s, finite q -> 0 <= s -> s <= 1 -> finite (p_p + s *: (q - p_p))) ->
  (forall q s, finite q -> 0 <= s -> s <= 1 -> D (p_p + s *: (q - p_p)) <= (1 - s) * D p_p + s * D q) ->
  (forall q, finite q -> D p_p <= D q) ->
  star_shaped p_p (fun q => finite q /\ D q <= eps).
Proof.
move=> segment convex least_at_p q s [q_finite q_near] s_ge0 s_le1; split; first exact: segment.
apply: le_trans (convex q s q_finite s_ge0 s_le1) _; apply: le_trans q_near.
have {2}-> : D q = (1 - s) * D q + s * D q by rewrite -mulrDl subrK mul1r.
by rewrite ler_add2r ler_wpmul2l ?subr_ge0 ?least_at_p.
Qed.

End StarShaped.

Section TotalVariation.

Variables (R : realFieldType) (leaf : finType) (p_p : {ffun leaf -> R^o}).

(** 1/2 sum_x |q(x) - p_p(x)|, the total variation. *)
Definition total_variation (q : {ffun leaf -> R^o}) : R := 2%:R^-1 * \sum_x `|q x - p_p x|.

(** Total variation is an instance: {q : TV(q, p_p) <= eps} is star-shaped about p_p. *)
Theorem total_variation_star_shaped (eps : R) : star_shaped p_p (fun q => total_variation q <= eps).
Proof.
move=> q s near s_ge0 s_le1; apply: le_trans near.
have -> : total_variation (p_p + s *: (q - p_p)) = s * total_variation q.
  rewrite /total_variation [RHS]mulrCA; congr (_ * _); rewrite mulr_sumr; apply: eq_bigr => x _.
  rewrite !ffunE addrAC subrr add0r -[s *: _]/(s * _).
  by rewrite normrM ger0_norm.
by rewrite ler_pimull // mulr_ge0 ?invr_ge0 ?ler0n // sumr_ge0.
Qed.

End TotalVariation.
