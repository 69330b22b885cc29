(** Joint compression: datasets over the leaves of one tree, and the model trained on their union.

    Everything is over an arbitrary ordered field, an arbitrary finite type of datasets and an arbitrary finite
    type of leaves.  Masses may be zero, and datasets may overlap in any way.  In mathcomp [x / 0 = 0], so a leaf
    that no dataset has contributes nothing to the sums below. *)

From mathcomp Require Import all_ssreflect all_algebra.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Definitions.

Variables (R : realFieldType) (dataset leaf : finType).

(** A distribution over the leaves. *)
Record distribution := Distribution {
  mass :> leaf -> R;
  mass_ge0 : forall x, 0 <= mass x;
  mass_sum1 : \sum_x mass x = 1
}.

(** Datasets of sizes [n_i > 0], each with its distribution [p_i]. *)
Record mixture := Mixture {
  p : dataset -> distribution;
  n : dataset -> R;
  n_gt0 : forall i, 0 < n i
}.

Variable m : mixture.

(** T, the size of all data. *)
Definition total_size : R := \sum_i n m i.

(** w_i = n_i / T. *)
Definition weight (i : dataset) : R := n m i / total_size.

(** q = sum_i w_i p_i, the model trained on the union. *)
Definition joint (x : leaf) : R := \sum_i weight i * p m i x.

(** S_it = sum_x p_i p_t / q. *)
Definition overlap (i t : dataset) : R := \sum_x p m i x * p m t x / joint x.

(** R_it = d gamma_i / d n_t = (1 - S_it) / T.  That it is this derivative of the rate is [rate_derivative] of
    RateDerivatives.v. *)
Definition response (i t : dataset) : R := (1 - overlap i t) / total_size.

End Definitions.

Section Facts.

Variables (R : realFieldType) (dataset leaf : finType) (m : mixture R dataset leaf).

Lemma total_size_gt0 (i : dataset) : 0 < total_size m.
Proof.
rewrite /total_size (bigD1 i) //= ltr_paddr ?n_gt0 //.
by apply: sumr_ge0 => j _; apply/ltW/n_gt0.
Qed.

Lemma weight_gt0 (i : dataset) : 0 < weight m i.
Proof. by rewrite /weight divr_gt0 ?n_gt0 ?(total_size_gt0 i). Qed.

Lemma weight_sum1 (i : dataset) : \sum_j weight m j = 1.
Proof. by rewrite -mulr_suml mulfV // gt_eqF // (total_size_gt0 i). Qed.

Lemma joint_ge0 (x : leaf) : 0 <= joint m x.
Proof. by apply: sumr_ge0 => i _; rewrite mulr_ge0 ?mass_ge0 // ltW ?weight_gt0. Qed.

(** A leaf that the model does not have is one that no dataset has. *)
Lemma joint_eq0 (x : leaf) (i : dataset) : joint m x = 0 -> p m i x = 0.
Proof.
move=> q0; apply/eqP; have := q0; rewrite /joint => /eqP.
rewrite psumr_eq0 => [/allP/(_ i)|j _]; last by rewrite mulr_ge0 ?mass_ge0 // ltW ?weight_gt0.
rewrite mem_index_enum => /(_ isT); rewrite mulf_eq0 => /orP[|//].
by rewrite gt_eqF ?weight_gt0.
Qed.

Lemma joint_sum1 (i : dataset) : \sum_x joint m x = 1.
Proof.
rewrite /joint exchange_big /= -(weight_sum1 i).
by apply: eq_bigr => j _; rewrite -mulr_sumr mass_sum1 mulr1.
Qed.

(** T q = sum_i n_i p_i, the joint mass. *)
Lemma total_joint (x : leaf) : total_size m * joint m x = \sum_i n m i * p m i x.
Proof.
rewrite /joint mulr_sumr; apply: eq_bigr => i _.
by rewrite /weight mulrA mulrCA divff ?mulr1 // gt_eqF // (total_size_gt0 i).
Qed.

(** Masses divided by q and multiplied by it again. *)
Lemma mass_div_joint (x : leaf) (i : dataset) : p m i x / joint m x * joint m x = p m i x.
Proof.
case: (eqVneq (joint m x) 0) => [q0|qN0]; last by rewrite divfK.
by rewrite q0 mulr0 (joint_eq0 _ q0).
Qed.

End Facts.
