(** Binary codes and Kraft's sum: sum over codewords of 2^-length. *)

From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** Kraft's sum of lengths, a rational number. *)
Definition kraft (lengths : seq nat) : rat := \sum_(l <- lengths) 2%:R^-1 ^+ l.

(** No word is a prefix of another, and no word occurs twice. *)
Definition prefix_free (words : seq (seq bool)) : Prop :=
  uniq words /\ {in words &, forall u v, prefix u v -> u = v}.

(** A full binary tree: every node is a leaf or has two children. *)
Inductive btree (A : Type) := Leaf of A | Node of btree A & btree A.

(** The leaves with their codewords: the turns on the way to them. *)
Fixpoint code A (t : btree A) : seq (A * seq bool) :=
  match t with
  | Leaf a => [:: (a, [::])]
  | Node l r => [seq (x.1, false :: x.2) | x <- code l] ++ [seq (x.1, true :: x.2) | x <- code r]
  end.

Definition leaves A (t : btree A) : seq A := [seq x.1 | x <- code t].
Definition words A (t : btree A) : seq (seq bool) := [seq x.2 | x <- code t].
Definition lengths A (t : btree A) : seq nat := [seq size w | w <- words t].

Lemma leaves_node A (l r : btree A) : leaves (Node l r) = leaves l ++ leaves r.
Proof. by rewrite /leaves /= map_cat -!map_comp. Qed.

Lemma words_node A (l r : btree A) :
  words (Node l r) = map (cons false) (words l) ++ map (cons true) (words r).
Proof. by rewrite /words /= map_cat -!map_comp. Qed.

Lemma lengths_node A (l r : btree A) :
  lengths (Node l r) = map succn (lengths l) ++ map succn (lengths r).
Proof. by rewrite /lengths words_node map_cat -!map_comp. Qed.

Lemma kraft_cons l ls : kraft (l :: ls) = 2%:R^-1 ^+ l + kraft ls.
Proof. exact: big_cons. Qed.

Lemma kraft_cat ls ms : kraft (ls ++ ms) = kraft ls + kraft ms.
Proof. exact: big_cat. Qed.

Lemma kraft_perm ls ms : perm_eq ls ms -> kraft ls = kraft ms.
Proof. exact: perm_big. Qed.

Lemma kraft_succ ls : kraft (map succn ls) = kraft ls / 2%:R.
Proof. by rewrite /kraft big_map mulr_suml; apply: eq_bigr => l _; rewrite exprSr. Qed.

Lemma kraft_ge0 ls : 0 <= kraft ls.
Proof. by apply: sumr_ge0 => l _; apply: exprn_ge0. Qed.

Lemma half_half (x : rat) : x / 2%:R + x / 2%:R = x.
Proof. by rewrite -mulr2n -mulr_natr divfK. Qed.

(** Kraft's equality: in a full binary tree, sum over leaves of 2^-depth = 1. *)
Theorem kraft_equality A (t : btree A) : kraft (lengths t) = 1.
Proof.
elim: t => [a|l IHl r IHr]; first by rewrite kraft_cons /kraft big_nil addr0.
by rewrite lengths_node kraft_cat !kraft_succ IHl IHr half_half.
Qed.

(** The codewords of a full binary tree are a prefix code. *)
Theorem words_prefix_free A (t : btree A) : prefix_free (words t).
Proof.
elim: t => [a|l [ul pl] r [ur pr]]; first by split=> // u v; rewrite !inE => /eqP-> /eqP->.
have inj b : injective (cons b : seq bool -> seq bool) by move=> u v [].
rewrite words_node; split.
  rewrite cat_uniq !map_inj_uniq ?ul ?ur ?andbT //=.
  by apply/hasPn => _ /mapP[u _ ->]; apply/negP => /mapP[].
move=> u v; rewrite !mem_cat.
case/orP=> /mapP[u' u'l ->] /orP[] /mapP[v' v'l ->] //; rewrite prefix_cons /= => uv; congr (_ :: _).
  exact: pl.
exact: pr.
Qed.

(** Kraft's inequality: in every prefix code, sum over codewords of 2^-length <= 1. *)
Theorem kraft_inequality (ws : seq (seq bool)) :
  prefix_free ws -> kraft [seq size w | w <- ws] <= 1.
Proof.
have [n] := ubnP (\sum_(w <- ws) size w)%N; elim: n ws => // n IH ws lt_n [uws pws].
have [e|e] := boolP ([::] \in ws).
  suff -> : ws = [:: [::]] by rewrite /kraft big_seq1.
  apply/perm_small_eq => //; apply: uniq_perm => // w; rewrite inE.
  by apply/idP/eqP => [wws|-> //]; rewrite (pws _ _ e wws) ?prefix0s.
have [-> | ws_n0] := eqVneq ws [::]; first by rewrite /kraft big_nil.
pose tails b := [seq behead w | w <- ws & head false w == b].
have tailP b w : (w \in tails b) = (b :: w \in ws).
  apply/mapP/idP => [[v]|bw]; last by exists (b :: w); rewrite // mem_filter eqxx.
  by rewrite mem_filter => /andP[/eqP <- vws] ->; case: v vws e => //= [->].
have ws_split : perm_eq ws (map (cons false) (tails false) ++ map (cons true) (tails true)).
  rewrite -(perm_filterC (fun w => head false w == false)) perm_sym.
  have E b : map (cons b) (tails b) = [seq w <- ws | head false w == b].
    rewrite -map_comp -[RHS]map_id; apply/eq_in_map => w; rewrite mem_filter => /andP[/eqP <-].
    by case: w => [|c w] //= ews; rewrite ews in e.
  rewrite !E perm_cat2l (@eq_filter _ _ (fun w => head false w == true)) // => w /=.
  by case: head.
have sizes : (\sum_(w <- ws) size w
    = \sum_(w <- tails false) size w + \sum_(w <- tails true) size w + size ws)%N.
  rewrite (perm_size ws_split) (perm_big _ ws_split) big_cat size_cat !size_map !big_map /= addnACA.
  by rewrite -!sum1_size -!big_split /=; congr (_ + _)%N; apply: eq_bigr => w _; rewrite addn1.
have small b : kraft [seq size w | w <- tails b] <= 1.
  apply: IH.
    rewrite -ltnS; apply: leq_trans lt_n; rewrite ltnS sizes -addn1.
    apply: leq_add; last by rewrite lt0n size_eq0.
    by case: b; rewrite ?leq_addr ?leq_addl.
  split=> [|u v]; last first.
    rewrite !tailP => uw vw uv; have : b :: u = b :: v by apply: pws; rewrite // prefix_cons eqxx.
    by case.
  have := perm_uniq ws_split; rewrite uws cat_uniq => /esym/and3P[].
  by case: b => [_ _ /map_uniq|/map_uniq].
rewrite (kraft_perm (perm_map size ws_split)) map_cat kraft_cat.
have E b s : kraft (map size (map (cons b) s)) = kraft (map size s) / 2%:R.
  by rewrite -kraft_succ -!map_comp.
by rewrite !E -[1]half_half ler_add // ler_pmul2r.
Qed.

(** The sum in natural numbers. *)
Lemma kraft_nat M ls : all (fun l => l <= M)%N ls ->
  (kraft ls <= 1) = (\sum_(l <- ls) 2 ^ (M - l) <= 2 ^ M)%N.
Proof.
move=> lsM; have -> : kraft ls = (\sum_(l <- ls) 2 ^ (M - l))%N%:R / (2 ^ M)%:R.
  rewrite natr_sum mulr_suml; apply: eq_big_seq => l /(allP lsM) lM.
  rewrite !natrX -{2}(subnK lM) exprD invfM mulrA mulfV ?mul1r ?exprVn //.
  by rewrite expf_neq0.
by rewrite ler_pdivr_mulr ?mul1r ?ler_nat // ltr0n expn_gt0.
Qed.
