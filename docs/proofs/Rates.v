(** Rates over the reals: cross-entropies, their potential, and Gibbs' inequality.  (Derivatives are in
    RateDerivatives.v.)

    Logarithms are natural.  In the library used here ln 0 = 0, so that 0 log 0 = 0, and a leaf that the model does not
    have counts for nothing.  For the joint model that is right, as no dataset has such a leaf.  Where another model
    could miss a leaf that a dataset has, the true cross-entropy is infinite, and a hypothesis excludes the case. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import boolp classical_sets reals topology normedtype derive realfun sequences exp.
From tokentree Require Import Mixture.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory numFieldTopology.Exports numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Definitions.

Variables (R : realType) (dataset leaf : finType).

(** CE(p, r) = -sum_x p log r, in nats. *)
Definition cross_entropy (d r : leaf -> R) : R := - \sum_x d x * ln (r x).

(** H(p) = CE(p, p), in nats.  (CodeLength.v has it in bits.) *)
Definition entropy (d : leaf -> R) : R := cross_entropy d d.

(** KL(p || r) = sum_x p log (p / r).  Where p has a leaf that r lacks, the true value is infinite and this sum is not:
    every theorem below that could meet the case has a hypothesis [covers]. *)
Definition divergence (d r : leaf -> R) : R := \sum_x d x * ln (d x / r x).

(** r has every leaf that p has. *)
Definition covers (r d : leaf -> R) : Prop := forall x, r x = 0 -> d x = 0.

(** For sizes n: q(n) = sum_i (n_i / T) p_i, gamma_i(n) = CE(p_i, q(n)), and Phi(n) = T H(q(n)). *)
Definition joint_at (p : dataset -> distribution R leaf) (n : dataset -> R) (x : leaf) : R :=
  \sum_i n i / (\sum_j n j) * p i x.
Definition rate_at (p : dataset -> distribution R leaf) (n : dataset -> R) (i : dataset) : R :=
  cross_entropy (p i) (joint_at p n).
Definition potential_at (p : dataset -> distribution R leaf) (n : dataset -> R) : R :=
  (\sum_i n i) * entropy (joint_at p n).

(** gamma_i and Phi of a mixture. *)
Definition rate (m : mixture R dataset leaf) (i : dataset) : R := rate_at (p m) (n m) i.
Definition potential (m : mixture R dataset leaf) : R := potential_at (p m) (n m).

(** The sizes n with n_t set to s. *)
Definition with_size (n : dataset -> R) (t : dataset) (s : R) (i : dataset) : R := if i == t then s else n i.

End Definitions.

Section Logarithm.

Variable R : realType.

Lemma ln_mean_value (a b : R) : 0 < a -> a < b ->
  exists c, [/\ a < c, c < b & ln b - ln a = (b - a) / c].
Proof.
move=> a_gt0 a_lt_b; have [|||c] := @MVT R (@ln R) (fun y => y^-1) a b => //.
- by move=> y; rewrite in_itv /= => /andP[a_lt _]; apply: is_derive1_ln; apply: lt_trans a_lt.
- apply: continuous_in_subspaceT => y; rewrite inE /= in_itv /= => /andP[a_le _].
  by apply: continuous_ln; apply: lt_le_trans a_le.
by rewrite in_itv /= => /andP[a_lt lt_b] ->; exists c; split=> //; rewrite mulrC.
Qed.

Lemma ln_lt_sub1 (z : R) : 0 < z -> z != 1 -> ln z < z - 1.
Proof.
move=> z_gt0; rewrite neq_lt => /orP[z_lt1 | z_gt1].
  have [c [z_lt c_lt1]] := ln_mean_value z_gt0 z_lt1.
  rewrite ln1 sub0r => /eqP; rewrite eqr_oppLR => /eqP ->.
  rewrite ltr_oppl opprB ltr_pdivl_mulr ?(lt_trans z_gt0) //.
  by rewrite gtr_pmulr // subr_gt0.
have [c [c_gt1 c_lt]] := ln_mean_value ltr01 z_gt1; rewrite ln1 subr0 => ->.
rewrite ltr_pdivr_mulr ?(lt_trans ltr01) //.
by rewrite ltr_pmulr // subr_gt0.
Qed.

Lemma ln_le_sub1 (z : R) : 0 < z -> ln z <= z - 1.
Proof.
move=> z_gt0; case: (eqVneq z 1) => [-> | z_neq1]; first by rewrite ln1 subrr.
by apply/ltW/ln_lt_sub1.
Qed.

End Logarithm.

Section Gibbs.

Variables (R : realType) (leaf : finType).
Implicit Types d r : distribution R leaf.

Lemma gibbs_term (a b : R) : 0 <= a -> 0 <= b -> (b = 0 -> a = 0) ->
  0 <= a * ln (a / b) - (a - b) /\ (a * ln (a / b) - (a - b) = 0 -> a = b).
Proof.
rewrite le_eqVlt => /orP[/eqP <- b_ge0 _ | a_gt0]; first by rewrite mul0r !sub0r opprK.
rewrite le_eqVlt => /orP[/eqP <- /(_ erefl) a0 | b_gt0 _]; first by rewrite a0 ltxx in a_gt0.
have a_neq0 : a != 0 by rewrite gt_eqF.
have -> : a * ln (a / b) - (a - b) = a * (b / a - 1 - ln (b / a)).
  rewrite -(invf_div b a) lnV ?posrE ?divr_gt0 // mulrBr mulrBr mulr1 mulrN [a * (b / a)]mulrC divfK //.
  by rewrite opprB addrC.
have ratio_gt0 : 0 < b / a by rewrite divr_gt0.
split; first by rewrite mulr_ge0 ?subr_ge0 ?ln_le_sub1 // ltW.
move/eqP; rewrite mulf_eq0 (negbTE a_neq0) /= => /eqP zero.
case: (eqVneq (b / a) 1) => [ratio1 | /(ln_lt_sub1 ratio_gt0)]; last by rewrite -subr_gt0 zero ltxx.
by rewrite -[b](divfK a_neq0) ratio1 mul1r.
Qed.

Lemma divergence_terms d r :
  divergence d r = \sum_x (d x * ln (d x / r x) - (d x - r x)).
Proof. by rewrite sumrB sumrB !mass_sum1 subrr subr0. Qed.

(** Gibbs' inequality: KL(p || r) >= 0, where r has every leaf that p has.  (Otherwise KL is infinite.) *)
Theorem gibbs d r : covers r d -> 0 <= divergence d r.
Proof.
move=> cover; rewrite divergence_terms sumr_ge0 // => x _.
by have [] := gibbs_term (mass_ge0 d x) (mass_ge0 r x) (@cover x).
Qed.

(** KL(p || r) = 0 only where r = p. *)
Theorem gibbs_equality d r : covers r d -> divergence d r = 0 -> forall x, d x = r x.
Proof.
move=> cover; rewrite divergence_terms => /eqP.
rewrite psumr_eq0 => [/allP zero x | x _].
  have [_ only] := gibbs_term (mass_ge0 d x) (mass_ge0 r x) (@cover x).
  by apply: only; apply/eqP/zero; rewrite mem_index_enum.
by have [] := gibbs_term (mass_ge0 d x) (mass_ge0 r x) (@cover x).
Qed.

(** CE(p, r) = H(p) + KL(p || r), where r has every leaf that p has. *)
Theorem cross_entropy_split (d r : distribution R leaf) : covers r d ->
  cross_entropy d r = entropy d + divergence d r.
Proof.
move=> cover; rewrite /entropy /cross_entropy /divergence -!sumrN -big_split /=.
apply: eq_bigr => x _; case: (eqVneq (d x) 0) => [-> | d_neq0]; first by rewrite !mul0r oppr0 add0r.
have d_gt0 : 0 < d x by rewrite lt_def d_neq0 mass_ge0.
have r_gt0 : 0 < r x.
  by rewrite lt_def mass_ge0 andbT; apply: contra d_neq0 => /eqP/cover ->.
by rewrite ln_div ?posrE // mulrBr addrA addNr add0r.
Qed.

End Gibbs.

Section Mixtures.

Variables (R : realType) (dataset leaf : finType).
Implicit Types m : mixture R dataset leaf.

(** The joint model of a mixture, as a distribution (there is at least one dataset). *)
Definition joint_distribution m (i : dataset) : distribution R leaf :=
  Distribution (joint_ge0 m) (joint_sum1 m i).

Lemma joint_covers m i : covers (joint m) (p m i).
Proof. by move=> x; apply: joint_eq0. Qed.

(** sum_i n_i CE(p_i, r) = T CE(q, r), for any model r: the data are coded as their union. *)
Theorem union_cross_entropy m (r : leaf -> R) :
  \sum_i n m i * cross_entropy (p m i) r = total_size m * cross_entropy (joint m) r.
Proof.
rewrite /cross_entropy mulrN mulr_sumr; under eq_bigr do rewrite mulrN mulr_sumr.
rewrite sumrN exchange_big; congr (- _); apply: eq_bigr => x _.
by rewrite mulrA total_joint mulr_suml; apply: eq_bigr => i _; rewrite mulrA.
Qed.

(** Euler's identity: sum_i n_i gamma_i = Phi. *)
Theorem euler_rates m : \sum_i n m i * rate m i = potential m.
Proof. exact: union_cross_entropy. Qed.

(** The rate is what D_i would cost alone, and what the others cost it: gamma_i = H(p_i) + KL(p_i || q). *)
Theorem rate_split m i : rate m i = entropy (p m i) + divergence (p m i) (joint m).
Proof. exact: (@cross_entropy_split _ _ (p m i) (joint_distribution m i) (@joint_covers m i)). Qed.

(** The loss of any other model: sum_i n_i CE(p_i, r) = Phi + T KL(q || r), Phi = sum_i n_i gamma_i, for any model r
    that has every leaf of the joint model. *)
Theorem excess_loss m (r : distribution R leaf) : covers r (joint m) ->
  \sum_i n m i * cross_entropy (p m i) r = potential m + total_size m * divergence (joint m) r.
Proof.
case: (pickP dataset) => [i _ cover | none _].
  by rewrite union_cross_entropy (@cross_entropy_split _ _ (joint_distribution m i)) // mulrDr.
by rewrite /potential /potential_at /total_size !big1 ?mul0r ?addr0 // => i; have := none i.
Qed.

(** The energy of the springs, E(r) = sum_i n_i KL(p_i || r): E(r) = E(q) + T KL(q || r), for any model r that has every
    leaf of the joint model. *)
Theorem spring_energy m (r : distribution R leaf) : covers r (joint m) ->
  \sum_i n m i * divergence (p m i) r =
  \sum_i n m i * divergence (p m i) (joint m) + total_size m * divergence (joint m) r.
Proof.
move=> cover; have coverp i : covers r (p m i) by move=> x /cover/joint_eq0.
apply: (addrI (\sum_i n m i * entropy (p m i))); rewrite addrA -!big_split /=.
rewrite (eq_bigr (fun i => n m i * cross_entropy (p m i) r)) => [|i _]; last by rewrite -mulrDr cross_entropy_split.
rewrite excess_loss // -euler_rates; congr (_ + _).
by apply: eq_bigr => i _; rewrite -mulrDr -rate_split.
Qed.

(** So q minimises sum_i n_i CE(p_i, r), and sum_i n_i KL(p_i || r), over all distributions r.  (Where r lacks a leaf
    that some dataset has, the loss is infinite.) *)
Theorem joint_minimises m (r : distribution R leaf) : (forall i, covers r (p m i)) ->
  \sum_i n m i * rate m i <= \sum_i n m i * cross_entropy (p m i) r /\
  \sum_i n m i * divergence (p m i) (joint m) <= \sum_i n m i * divergence (p m i) r.
Proof.
move=> cover; have cover_joint : covers r (joint m).
  by move=> x r0; rewrite /joint big1 // => i _; rewrite (cover i x r0) mulr0.
have least : \sum_i n m i * rate m i <= \sum_i n m i * cross_entropy (p m i) r.
  rewrite euler_rates excess_loss // ler_addl.
  case: (pickP dataset) => [i _ | none]; last by rewrite /total_size big1 ?mul0r // => i; have := none i.
  by rewrite mulr_ge0 ?(ltW (total_size_gt0 m i)) // (gibbs (d := joint_distribution m i)).
split=> //; move: least; rewrite -subr_ge0 -sumrB => least; rewrite -subr_ge0 -sumrB.
rewrite (eq_bigr (fun i => n m i * cross_entropy (p m i) r - n m i * rate m i)) // => i _.
by rewrite rate_split cross_entropy_split // -!mulrBr opprD addrACA subrr add0r.
Qed.

(** q is the only model, of those that have all its leaves, where the loss is least. *)
Theorem joint_only_minimiser m (r : distribution R leaf) (i : dataset) : covers r (joint m) ->
  \sum_j n m j * cross_entropy (p m j) r = \sum_j n m j * rate m j -> forall x, joint m x = r x.
Proof.
move=> cover; rewrite excess_loss // euler_rates -[X in _ = X]addr0 => /addrI/eqP.
rewrite mulf_eq0 gt_eqF ?(total_size_gt0 m i) //= => /eqP.
exact: (gibbs_equality (d := joint_distribution m i)).
Qed.

(** Finite changes, with the gaps known: for mixtures of the same datasets with sizes n and n',
    n . (gamma' - gamma) = T KL(q || q') and n' . (gamma' - gamma) = -T' KL(q' || q). *)
Theorem finite_changes_gaps m m' : p m = p m' ->
  \sum_i n m i * (rate m' i - rate m i) = total_size m * divergence (joint m) (joint m') /\
  \sum_i n m' i * (rate m' i - rate m i) = - (total_size m' * divergence (joint m') (joint m)).
Proof.
have gap m1 m2 : p m1 = p m2 ->
    \sum_i n m1 i * (rate m2 i - rate m1 i) = total_size m1 * divergence (joint m1) (joint m2).
  move=> same; case: (pickP dataset) => [i _ | none]; last first.
    by rewrite /total_size !big1 ?mul0r // => i; have := none i.
  under eq_bigr do rewrite mulrBr; rewrite sumrB euler_rates.
  have cover : covers (joint_distribution m2 i) (joint m1).
    by move=> x q0; rewrite /joint big1 // => j _; rewrite same (joint_eq0 j q0) mulr0.
  have -> : \sum_j n m1 j * rate m2 j = \sum_j n m1 j * cross_entropy (p m1 j) (joint_distribution m2 i).
    by rewrite same.
  by rewrite (excess_loss cover) addrAC subrr add0r.
move=> same; split; first exact: gap.
by rewrite -(gap m' m) // -sumrN; apply: eq_bigr => i _; rewrite -mulrN opprB.
Qed.

End Mixtures.
