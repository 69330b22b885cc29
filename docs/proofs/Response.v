(** The response of the rates: reciprocity, the balance, and R n = 0. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Response.
Variables (R : realFieldType) (dataset leaf : finType) (m : mixture R dataset leaf).

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

End Response.
