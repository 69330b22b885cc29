(** Springs: the balance of forces, two datasets as two springs between fixed walls, and springs in series. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Forces.

Variables (R : realFieldType) (dataset leaf : finType) (m : mixture R dataset leaf).

(** The balance of forces: sum_i n_i (p_i - q) = 0, on every leaf. *)
Theorem balance_of_forces (x : leaf) : \sum_i n m i * (p m i x - joint m x) = 0.
Proof.
under eq_bigr do rewrite mulrBr.
by rewrite sumrB -mulr_suml -total_joint subrr.
Qed.

(** The same on any set of leaves A, with P_i(A) and Q(A) the masses on it: sum_i n_i (P_i(A) - Q(A)) = 0. *)
Theorem balance_on_sets (A : {set leaf}) :
  \sum_i n m i * (\sum_(x in A) p m i x - \sum_(x in A) joint m x) = 0.
Proof.
under eq_bigr do rewrite -sumrB mulr_sumr.
by rewrite exchange_big big1 // => x _; apply: balance_of_forces.
Qed.

(** q is the only point where the forces balance, if there is a dataset at all: if sum_i n_i (p_i(x) - y) = 0, then
    y = q(x). *)
Theorem only_balance (x : leaf) (y : R) (i : dataset) :
  \sum_j n m j * (p m j x - y) = 0 -> y = joint m x.
Proof.
under eq_bigr do rewrite mulrBr.
rewrite sumrB -mulr_suml -total_joint -mulrBr => /eqP.
by rewrite mulf_eq0 gt_eqF ?(total_size_gt0 m i) //= subr_eq0 => /eqP.
Qed.

(** Every pair of datasets is joined by a spring: n_i (p_i - q) = sum_j (n_i n_j / T) (p_i - p_j). *)
Theorem star_mesh (x : leaf) (i : dataset) :
  n m i * (p m i x - joint m x) = \sum_j n m i * n m j / total_size m * (p m i x - p m j x).
Proof.
transitivity (n m i * (\sum_j weight m j * (p m i x - p m j x))).
  congr (_ * _); under eq_bigr do rewrite mulrBr.
  by rewrite sumrB -mulr_suml (weight_sum1 m i) mul1r.
by rewrite mulr_sumr; apply: eq_bigr => j _; rewrite /weight !mulrA.
Qed.

(** The energy of the springs in squared distance, on any leaf: sum_i n_i (p_i - y)^2 = sum_i n_i (p_i - q)^2 +
    T (q - y)^2.  So q is where this energy too is least.  (The energy that training minimises is
    sum_i n_i KL(p_i || y); [spring_energy] of Rates.v is the same identity for it.) *)
Theorem squared_energy (x : leaf) (y : R) :
  \sum_i n m i * (p m i x - y) ^+ 2 =
  \sum_i n m i * (p m i x - joint m x) ^+ 2 + total_size m * (joint m x - y) ^+ 2.
Proof.
set q := joint m x; transitivity (\sum_i (n m i * (p m i x - q) ^+ 2 + n m i * (q - y) ^+ 2 +
                                   n m i * (p m i x - q) * ((q - y) *+ 2))).
  apply: eq_bigr => i _; have -> : p m i x - y = (p m i x - q) + (q - y) by rewrite addrA subrK.
  move: (p m i x - q) (q - y) => a b.
  by rewrite sqrrD addrAC -mulrnAr 2!mulrDr; congr (_ + _); rewrite mulrA.
rewrite big_split big_split /= -!mulr_suml -/(total_size m).
by rewrite balance_of_forces mul0r addr0.
Qed.

End Forces.

Section TwoSprings.

Variables (R : realFieldType) (dataset leaf : finType) (m : mixture R dataset leaf) (one two : dataset).

Hypothesis different : one != two.
Hypothesis only_two : forall i, i = one \/ i = two.

Lemma sum_two (f : dataset -> R) : \sum_i f i = f one + f two.
Proof.
rewrite (bigD1 one) //= (bigD1 two) 1?eq_sym //= big1 ?addr0 // => i.
by case: (only_two i) => ->; rewrite eqxx ?andbF.
Qed.

(** With two datasets q lies on the segment between p_1 and p_2: q = w_1 p_1 + w_2 p_2 with w_1, w_2 > 0 and
    w_1 + w_2 = 1. *)
Theorem two_springs_segment :
  [/\ 0 < weight m one, 0 < weight m two, weight m one + weight m two = 1 &
      forall x, joint m x = weight m one * p m one x + weight m two * p m two x].
Proof.
split; [exact: weight_gt0 | exact: weight_gt0 | | by move=> x; apply: sum_two].
by rewrite -(weight_sum1 m one) sum_two.
Qed.

(** Two springs between fixed walls, without approximation: n_1 (q - p_1) = -n_2 (q - p_2) = k_eff (p_2 - p_1) on every
    leaf, where k_eff = 1 / (1/n_1 + 1/n_2). *)
Theorem two_springs (x : leaf) :
  n m one * (joint m x - p m one x) = - (n m two * (joint m x - p m two x)) /\
  n m one * (joint m x - p m one x) = ((n m one)^-1 + (n m two)^-1)^-1 * (p m two x - p m one x).
Proof.
split.
  have := balance_of_forces m x; rewrite sum_two => /eqP.
  by rewrite addr_eq0 => /eqP balanced; rewrite -[joint m x - p m one x]opprB mulrN balanced opprK -mulrN opprB.
have -> : joint m x - p m one x = weight m two * (p m two x - p m one x).
  have [_ _ sum1 ->] := two_springs_segment.
  have -> : weight m one = 1 - weight m two by rewrite -sum1 addrK.
  by rewrite mulrBl mul1r mulrBr addrC addrA addKr addrC.
rewrite mulrA; congr (_ * _); rewrite /weight /total_size sum_two.
have n1 : n m one != 0 by rewrite gt_eqF ?n_gt0.
have n2 : n m two != 0 by rewrite gt_eqF ?n_gt0.
by rewrite -[(n m one)^-1]div1r -[(n m two)^-1]div1r addf_div // !mul1r invf_div mulrA [n m two + _]addrC.
Qed.

(** In every norm n_1 |q - p_1| = n_2 |q - p_2| = k_eff |p_2 - p_1|.  Of the norm only |a u| = |a| |u| is used. *)
Theorem two_springs_in_every_norm (norm : {ffun leaf -> R^o} -> R) :
  (forall (a : R) u, norm (a *: u) = `|a| * norm u) ->
  n m one * norm [ffun x => joint m x - p m one x] = n m two * norm [ffun x => joint m x - p m two x] /\
  n m one * norm [ffun x => joint m x - p m one x] =
    ((n m one)^-1 + (n m two)^-1)^-1 * norm [ffun x => p m two x - p m one x].
Proof.
move=> scaled; have k_eff : 0 < ((n m one)^-1 + (n m two)^-1)^-1 by rewrite invr_gt0 addr_gt0 ?invr_gt0 ?n_gt0.
rewrite -{1 2}[n m one]gtr0_norm ?n_gt0 // -!scaled; split.
  rewrite -[n m two in RHS]gtr0_norm ?n_gt0 // -[`|n m two|]normrN -scaled.
  congr norm; apply/ffunP => x; rewrite !ffunE; apply: etrans (proj1 (two_springs x)) _.
  by rewrite -mulNr.
rewrite -(gtr0_norm k_eff) -scaled; congr norm; apply/ffunP => x; rewrite !ffunE.
exact: (proj2 (two_springs x)).
Qed.

End TwoSprings.

Section Series.

(** Springs in series: stiffnesses k_i > 0 and extensions e_i under one force F, so that k_i e_i = F for every
    spring. *)

Variables (R : realFieldType) (spring : finType) (k e : spring -> R) (force : R).

Hypothesis k_gt0 : forall i, 0 < k i.
Hypothesis one_force : forall i, k i * e i = force.

(** The extension of the chain is F sum_i 1/k_i. *)
Theorem series_extension : \sum_i e i = force * \sum_i (k i)^-1.
Proof.
rewrite mulr_sumr; apply: eq_bigr => i _.
by rewrite -(one_force i) mulrAC divff ?mul1r // gt_eqF.
Qed.

(** The chain is one spring of stiffness k_eff = 1 / sum_i 1/k_i: F = k_eff times its extension. *)
Theorem series_stiffness (i : spring) : force = (\sum_j (k j)^-1)^-1 * \sum_j e j.
Proof.
rewrite series_extension mulrCA mulVf ?mulr1 // gt_eqF // (bigD1 i) //=.
by rewrite ltr_paddr ?invr_gt0 // sumr_ge0 // => j _; rewrite invr_ge0 ltW.
Qed.

(** Two springs of the chain: k_i e_i = k_j e_j, so e_i / e_j = k_j / k_i where e_j is not zero. *)
Theorem series_inverse_proportion (i j : spring) :
  k i * e i = k j * e j /\ (e j != 0 -> e i / e j = k j / k i).
Proof.
split=> [|e_neq0]; first by rewrite !one_force.
have k_neq0 : k i != 0 by rewrite gt_eqF.
by apply/eqP; rewrite eqr_div // mulrC !one_force.
Qed.

End Series.
