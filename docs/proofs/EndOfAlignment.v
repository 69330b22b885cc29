(** The end of an alignment: what it takes to undo it, by counts. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import reals exp.
From tokentree Require Import Mixture ThreeDatasets PublishedForm Rates.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Restoration.

Variables (R : realFieldType) (leaf : finType) (p_p p_a : distribution R leaf) (n_p n_a n_b : R).

Hypotheses (n_p_gt0 : 0 < n_p) (n_a_gt0 : 0 < n_a) (n_b_ge0 : 0 <= n_b).

(** Exact restoration: n_b examples, of some distribution p_b, bring the model back to p_p exactly, if and only if
    n_a p_a <= (n_a + n_b) p_p on every leaf.  n_b = 0 is allowed.  So the least n_b / n_a is
    max p_a / p_p - 1, whatever n_p, and no n_b is enough where D_a has a leaf that D_p lacks. *)
Theorem exact_restoration :
  (exists p_b : distribution R leaf,
     forall x, (n_p * p_p x + n_a * p_a x + n_b * p_b x) / (n_p + n_a + n_b) = p_p x)
  <-> (forall x, n_a * p_a x <= (n_a + n_b) * p_p x).
Proof.
have total : n_p + n_a + n_b != 0 by rewrite gt_eqF // ltr_paddr // addr_gt0.
have same (y z : R) : (y / (n_p + n_a + n_b) == z) = (y == z * (n_p + n_a + n_b)).
  by rewrite -{1}[z](mulfK total) (inj_eq (mulIf (invr_neq0 total))).
have moved (x : leaf) (b : R) : (n_p * p_p x + n_a * p_a x + b == p_p x * (n_p + n_a + n_b)) =
                       (b == (n_a + n_b) * p_p x - n_a * p_a x).
  have -> : p_p x * (n_p + n_a + n_b) = n_p * p_p x + (n_a + n_b) * p_p x by rewrite mulrC -addrA mulrDl.
  by rewrite -addrA (inj_eq (addrI _)) eq_sym [_ + b]addrC -subr_eq eq_sym.
split=> [[p_b restored] x | bound].
  have /eqP := restored x; rewrite same moved => /eqP rest.
  by rewrite -subr_ge0 -rest mulr_ge0 ?mass_ge0.
case: (eqVneq n_b 0) => [n_b0|n_b_neq0].
  exists p_p => x; apply/eqP; rewrite same moved n_b0 addr0 mul0r eq_sym subr_eq0.
  have slack_ge0 y : true -> 0 <= n_a * p_p y - n_a * p_a y by have := bound y; rewrite n_b0 addr0 subr_ge0.
  have : \sum_y (n_a * p_p y - n_a * p_a y) = 0 by rewrite sumrB -!mulr_sumr !mass_sum1 subrr.
  by move/eqP; rewrite psumr_eq0 // => /allP/(_ x (mem_index_enum x)); rewrite /= subr_eq0.
pose b x := ((n_a + n_b) * p_p x - n_a * p_a x) / n_b.
have b_ge0 x : 0 <= b x by rewrite divr_ge0 ?subr_ge0.
have b_sum1 : \sum_x b x = 1.
  by rewrite -mulr_suml sumrB -!mulr_sumr !mass_sum1 !mulr1 addrAC subrr add0r divff.
by exists (Distribution b_ge0 b_sum1) => x; apply/eqP; rewrite same moved /= mulrC divfK.
Qed.

End Restoration.

Section PublishedForm.

Variables (R : realType) (leaf part : finType) (p : part -> distribution R leaf) (a t : part).

Hypothesis disjoint : forall i j, i != j -> forall x, p i x * p j x = 0.
Hypothesis different : a != t.

(** D_p is made of equal parts. *)
Definition pretraining (x : leaf) : R := (\sum_j p j x) / #|part|%:R.

(** The model of n_p, n_a and n_t examples of D_p, of part a and of part t.  Sizes may be 0. *)
Definition published_joint (n_p n_a n_t : R) (x : leaf) : R :=
  (n_p * pretraining x + n_a * p a x + n_t * p t x) / (n_p + n_a + n_t).

(** For sizes k, 1 and l it is the joint model of the published form. *)
Lemma published_joint_form (k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l) x :
  joint (published_form p k_gt0 l_gt0 a t) x = published_joint k 1 l x.
Proof. by rewrite form_joint /published_joint mul1r. Qed.

Lemma elsewhere i j x : i != j -> p i x != 0 -> p j x = 0.
Proof. by move=> neq in_i; have /eqP := disjoint neq x; rewrite mulf_eq0 (negPf in_i) => /eqP. Qed.

Lemma proportional_rate (c : R) (r : leaf -> R) : 0 < c -> (forall x, p a x != 0 -> r x = c * p a x) ->
  cross_entropy (p a) r = entropy (p a) - ln c.
Proof.
move=> c_gt0 proportional; rewrite /entropy /cross_entropy -opprD; congr (- _).
rewrite -[ln c]mul1r -(mass_sum1 (p a)) mulr_suml -big_split; apply: eq_bigr => x _ /=.
case: (eqVneq (p a x) 0) => [-> | mass_neq0]; first by rewrite !mul0r addr0.
have mass_gt0 : 0 < p a x by rewrite lt_def mass_neq0 mass_ge0.
by rewrite proportional // lnM ?posrE // mulrDr addrC.
Qed.

(** The published form with m disjoint parts, by counts: data of D_t undo the gain of D_a on gamma_a, that is bring
    gamma_a back to CE(p_a, p_p), exactly when n_t = (m - 1) n_a, whatever n_p.  For the paper's three parts that is
    2 |D_a|. *)
Theorem undoing_the_gain (n_p n_a n_t : R) : 0 < n_p -> 0 <= n_a -> 0 <= n_t ->
  cross_entropy (p a) (published_joint n_p n_a n_t) = cross_entropy (p a) pretraining <->
  n_t = (#|part|%:R - 1) * n_a.
Proof.
move=> n_p_gt0 n_a_ge0 n_t_ge0.
have parts_gt0 : 0 < #|part|%:R :> R by rewrite ltr0n; apply/card_gt0P; exists a.
have total_gt0 : 0 < n_p + n_a + n_t by rewrite -addrA ltr_paddr ?addr_ge0.
have on_part x : p a x != 0 -> pretraining x = #|part|%:R^-1 * p a x.
  move=> in_a; rewrite /pretraining mulrC (bigD1 a) //= big1 ?addr0 // => j neq.
  by apply: elsewhere in_a; rewrite eq_sym.
pose c := (n_p / #|part|%:R + n_a) / (n_p + n_a + n_t).
have c_gt0 : 0 < c by rewrite divr_gt0 // ltr_paddr // divr_gt0.
rewrite (proportional_rate _ on_part) ?invr_gt0 // (@proportional_rate c) //; last first.
  move=> x in_a; rewrite /published_joint on_part // (elsewhere different in_a) mulr0 addr0 /c.
  by rewrite mulrA -mulrDl mulrAC.
have same : (c == #|part|%:R^-1) = (n_t == (#|part|%:R - 1) * n_a).
  have scaled : (n_p / #|part|%:R + n_a) * #|part|%:R = n_p + #|part|%:R * n_a.
    by rewrite mulrDl divfK ?gt_eqF // [n_a * _]mulrC.
  rewrite /c -[X in _ == X]div1r eqr_div ?(lt0r_neq0 total_gt0) ?(lt0r_neq0 parts_gt0) // scaled.
  rewrite mul1r -addrA (inj_eq (addrI _)).
  by rewrite mulrBl mul1r [RHS]eq_sym subr_eq [n_t + _]addrC.
split=> [/addrI/oppr_inj/ln_inj equal | /eqP].
  by apply/eqP; rewrite -same equal // posrE // invr_gt0.
by rewrite -same => /eqP ->.
Qed.

End PublishedForm.
