(** The response of the rates: a symmetric, negative semidefinite matrix, R n = 0, the balance and the sign rule. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture FieldTactic.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Response.
Variables (R : realFieldType) (dataset leaf : finType) (m : mixture R dataset leaf).
Add Field F : (real_field_theory R).

(** The Fisher metric at q: <u, v> = sum_x u v / q.  The vectors it is used on are zero where q is. *)
Definition fisher (u v : leaf -> R) : R := \sum_x u x * v x / joint m x.

(** p_i - q. *)
Definition deviation (i : dataset) (x : leaf) : R := p m i x - joint m x.

(** R_it = R_ti. *)
Theorem reciprocity (i t : dataset) : response m i t = response m t i.
Proof. by congr (_ / _); congr (_ - _); apply: eq_bigr => x _; rewrite [_ * p m t x]mulrC. Qed.

(** sum_i w_i S_it = 1. *)
Theorem overlap_balance (t : dataset) : \sum_i weight m i * overlap m i t = 1.
Proof.
rewrite -(mass_sum1 (p m t)) /overlap.
under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big /=; apply: eq_bigr => x _.
transitivity (joint m x * (p m t x / joint m x)); last by rewrite mulrC mass_div_joint.
by rewrite mulr_suml; apply: eq_bigr => i _; rewrite !mulrA.
Qed.

(** The conservation law: sum_i n_i dgamma_i / dn_t = 0. *)
Theorem balance (t : dataset) : \sum_i n m i * response m i t = 0.
Proof.
transitivity (\sum_i (weight m i - weight m i * overlap m i t)).
  by apply: eq_bigr => i _; rewrite /response mulrA mulrAC mulrBr mulr1.
by rewrite sumrB overlap_balance (weight_sum1 m t) subrr.
Qed.

(** Rates depend on the proportions only: sum_t R_it n_t = 0, that is R n = 0. *)
Theorem response_sizes (i : dataset) : \sum_t response m i t * n m t = 0.
Proof. by rewrite -[RHS](balance i); apply: eq_bigr => t _; rewrite reciprocity mulrC. Qed.

Lemma deviation_eq0 (x : leaf) (i : dataset) : joint m x = 0 -> deviation i x = 0.
Proof. by move=> q0; rewrite /deviation q0 (joint_eq0 _ q0) subrr. Qed.

(** The angle is the overlap: sum_x (p_i - q) (p_t - q) / q = S_it - 1. *)
Theorem fisher_overlap (i t : dataset) : fisher (deviation i) (deviation t) = overlap m i t - 1.
Proof.
transitivity (\sum_x (p m i x * p m t x / joint m x - p m i x - p m t x + joint m x)); last first.
  by rewrite big_split /= !sumrB !mass_sum1 (joint_sum1 m i) addrNK.
apply: eq_bigr => x _; case: (eqVneq (joint m x) 0) => [q0|qN0].
  by rewrite (deviation_eq0 i q0) q0 !(joint_eq0 _ q0) !mul0r !subr0 addr0.
by rewrite /deviation; field_in R.
Qed.

(** The response without cancellation: R_it = -(1/T) sum_x (p_i - q) (p_t - q) / q.  Leaves with q = 0 count for nothing
    on the right: there every p_i is 0. *)
Theorem response_covariance (i t : dataset) :
  response m i t = - (total_size m)^-1 * \sum_x (p m i x - joint m x) * (p m t x - joint m x) / joint m x.
Proof. by rewrite -/(fisher (deviation i) (deviation t)) fisher_overlap mulNr -mulrN opprB mulrC. Qed.

(** The response is a covariance, R_it = -(1/T) Cov_q(p_i / q, p_t / q): under q the mean of p_i / q is 1, and R_it is
    -1/T times the mean of (p_i / q - 1) (p_t / q - 1). *)
Theorem response_is_covariance (i t : dataset) :
  \sum_x joint m x * (p m i x / joint m x) = 1 /\
  response m i t =
    - (total_size m)^-1 * \sum_x joint m x * ((p m i x / joint m x - 1) * (p m t x / joint m x - 1)).
Proof.
split; first by rewrite -(mass_sum1 (p m i)); apply: eq_bigr => x _; rewrite mulrC mass_div_joint.
rewrite response_covariance; congr (_ * _); apply: eq_bigr => x _.
case: (eqVneq (joint m x) 0) => [q0|qN0]; last by field_in R.
by rewrite q0 invr0 mulr0 mul0r.
Qed.

Lemma fisher_ge0 (u : leaf -> R) : 0 <= fisher u u.
Proof. by apply: sumr_ge0 => x _; rewrite -expr2 mulr_ge0 ?sqr_ge0 // invr_ge0 joint_ge0. Qed.

(** R is negative semidefinite: sum_it v_i R_it v_t <= 0 for every v. *)
Theorem response_negative_semidefinite (v : dataset -> R) :
  \sum_i \sum_t v i * response m i t * v t <= 0.
Proof.
case: (pickP (fun _ : dataset => true)) => [i0 _|none]; last by rewrite big_pred0.
pose d x := \sum_i v i * deviation i x.
suff -> : \sum_i \sum_t v i * response m i t * v t = - (total_size m)^-1 * fisher d d.
  by rewrite mulNr oppr_le0 mulr_ge0 ?fisher_ge0 // invr_ge0 ltW ?(total_size_gt0 m i0).
rewrite /fisher; transitivity (\sum_i \sum_t \sum_x - (total_size m)^-1 *
    (v i * deviation i x * (v t * deviation t x) / joint m x)).
  apply: eq_bigr => i _; apply: eq_bigr => t _.
  rewrite response_covariance !mulrA mulrAC !mulr_sumr; apply: eq_bigr => x _.
  by rewrite -/(deviation i x) -/(deviation t x); move: (joint m x)^-1 (total_size m)^-1 => a b; field_in R.
rewrite mulr_sumr; under eq_bigr do rewrite exchange_big /=.
rewrite exchange_big /=; apply: eq_bigr => x _.
under eq_bigr do rewrite -mulr_sumr -mulr_suml -mulr_sumr.
by rewrite -mulr_sumr -!mulr_suml.
Qed.

(** More of a dataset never raises its own rate: R_tt <= 0. *)
Theorem self_response_le0 (t : dataset) : response m t t <= 0.
Proof.
rewrite response_covariance mulNr oppr_le0 mulr_ge0 ?invr_ge0 ?(ltW (total_size_gt0 m t)) //.
exact: (fisher_ge0 (deviation t)).
Qed.

(** R_tt = 0 only when p_t = q, on every leaf. *)
Theorem self_response_eq0 (t : dataset) : response m t t = 0 <-> (forall x, p m t x = joint m x).
Proof.
split=> [|same]; rewrite response_covariance; last first.
  by rewrite big1 ?mulr0 // => x _; rewrite same subrr !mul0r.
move/eqP; rewrite mulf_eq0 oppr_eq0 invr_eq0 (gt_eqF (total_size_gt0 m t)) /= psumr_eq0 => [/allP all0|x _].
  move=> x; have /= := all0 x (mem_index_enum x).
  case: (eqVneq (joint m x) 0) => [q0 _|qN0]; first by rewrite q0 (joint_eq0 _ q0).
  by rewrite !mulf_eq0 invr_eq0 (negPf qN0) orbF orbb subr_eq0 => /eqP.
by rewrite -expr2 mulr_ge0 ?sqr_ge0 // invr_ge0 joint_ge0.
Qed.

Lemma response_gt0 (i t : dataset) : (0 < response m i t) = (overlap m i t < 1).
Proof. by rewrite pmulr_lgt0 ?invr_gt0 ?(total_size_gt0 m i) // subr_gt0. Qed.

Lemma response_lt0 (i t : dataset) : (response m i t < 0) = (1 < overlap m i t).
Proof. by rewrite pmulr_llt0 ?invr_gt0 ?(total_size_gt0 m i) // subr_lt0. Qed.

(** The sign rule: dgamma_i / dn_t > 0 iff S_it < 1 iff p_i - q and p_t - q make an obtuse angle in the Fisher metric,
    < 0 iff S_it > 1 iff the angle is acute, and = 0 iff S_it = 1 iff it is right. *)
Theorem sign_rule (i t : dataset) :
  [/\ (0 < response m i t) = (overlap m i t < 1),
      (0 < response m i t) = (fisher (deviation i) (deviation t) < 0),
      (response m i t < 0) = (1 < overlap m i t),
      (response m i t < 0) = (0 < fisher (deviation i) (deviation t))
    & (response m i t == 0) = (overlap m i t == 1)].
Proof.
rewrite response_gt0 response_lt0 fisher_overlap subr_lt0 subr_gt0; split=> //.
by rewrite mulf_eq0 invr_eq0 (gt_eqF (total_size_gt0 m i)) orbF subr_eq0 eq_sym.
Qed.

(** S_tt >= 1: no dataset's overlap with itself is below 1, the mean of its overlaps. *)
Lemma self_overlap_ge1 (t : dataset) : 1 <= overlap m t t.
Proof. by rewrite -subr_ge0 -fisher_overlap fisher_ge0. Qed.

End Response.
