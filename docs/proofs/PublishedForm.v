(** Theorem 4.2 in the published form: D_p is made of equal disjoint parts, D_a is distributed as one of them and D_t
    as another.

    The parts are any finite number m >= 2 (two of them, a and t, are different), with any distributions on pairwise
    disjoint leaves; sizes are k > 0, 1 and l > 0, and T = k + 1 + l. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture FieldTactic Response ThreeDatasets.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Average.

Variables (R : realFieldType) (leaf part : finType) (D : part -> distribution R leaf) (part_gt0 : (0 < #|part|)%N).

(** A dataset of equal parts: p_p = (1/m) sum_j p_j, m the number of parts. *)
Definition average : distribution R leaf.
Proof.
exists (fun x => (\sum_j D j x) / #|part|%:R) => [x|].
  by rewrite divr_ge0 ?ler0n // sumr_ge0 // => j _; apply: mass_ge0.
rewrite -mulr_suml exchange_big /=; under eq_bigr do rewrite mass_sum1.
by rewrite sumr_const -[_ *+ _]mulr_natr mul1r mulfV // pnatr_eq0 -lt0n.
Defined.

End Average.

Section DisjointParts.

Variables (R : realFieldType) (leaf part : finType) (D : part -> distribution R leaf).
Hypothesis disjoint : forall i j, i != j -> forall x, D i x * D j x = 0.
Add Field F : (real_field_theory R).

(** Disjoint parts: if q = sum_j c_j p_j with every c_j > 0, p = sum_j b_j p_j and p' = sum_j b'_j p_j, then
    sum_x p p' / q = sum_j b_j b'_j / c_j. *)
Theorem disjoint_overlap (b b' c : part -> R) : (forall j, 0 < c j) ->
  \sum_x (\sum_j b j * D j x) * (\sum_j b' j * D j x) / (\sum_j c j * D j x) = \sum_j b j * b' j / c j.
Proof.
move=> c0; transitivity (\sum_x \sum_j b j * b' j / c j * D j x); last first.
  by rewrite exchange_big /=; apply: eq_bigr => j _; rewrite -mulr_sumr mass_sum1 mulr1.
apply: eq_bigr => x _; case: (pickP (fun j => D j x != 0)) => [j Dj|all0]; last first.
  by rewrite !big1 ?mul0r // => j _; have /eqP -> := all0 j; rewrite mulr0.
have other i : i != j -> D i x = 0.
  by move=> ij; have /eqP := disjoint ij x; rewrite mulf_eq0 (negPf Dj) orbF => /eqP.
have one (f : part -> R) : \sum_i f i * D i x = f j * D j x.
  by rewrite (bigD1 j) //= big1 ?addr0 // => i /other ->; rewrite mulr0.
by rewrite !one; have cN0 : c j != 0 := negbT (gt_eqF (c0 j)); field_in R.
Qed.

End DisjointParts.

Section PublishedForm.

Variables (R : realFieldType) (leaf part : finType) (D : part -> distribution R leaf).
Variables (k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l) (a t : part).
Add Field F : (real_field_theory R).

Lemma part_gt0 : (0 < #|part|)%N. Proof. by apply/card_gt0P; exists a. Qed.

(** The published form: sizes k, 1 and l; D_p the average of the parts, D_a distributed as part a, D_t as part t. *)
Definition published_form : mixture R role leaf := three_dataset_form k_gt0 l_gt0 (average D part_gt0) (D a) (D t).

Hypothesis disjoint : forall i j, i != j -> forall x, D i x * D j x = 0.
Hypothesis a_not_t : a != t.

Let m : R := #|part|%:R.
Let T : R := k + 1 + l.

Let c (j : part) : R := (k / m + (j == a)%:R + l * (j == t)%:R) / T.
Let coefficient (i : role) (j : part) : R :=
  match i with Pretrain => m^-1 | Align => (j == a)%:R | Perturb => (j == t)%:R end.

Let m_gt0 : 0 < m. Proof. by rewrite ltr0n part_gt0. Qed.
Let T_gt0 : 0 < T. Proof. by rewrite !addr_gt0 ?ltr01. Qed.

Lemma c_gt0 j : 0 < c j.
Proof. by rewrite divr_gt0 ?T_gt0 // !ltr_paddr ?mulr_ge0 ?ler0n ?(ltW l_gt0) ?divr_gt0 ?m_gt0. Qed.

Lemma sum_pick (f : part -> R) i : \sum_j f j * (j == i)%:R = f i.
Proof.
by rewrite (bigD1 i) //= eqxx mulr1 big1 ?addr0 // => j /negPf ->; rewrite mulr0.
Qed.

Lemma published_mass i x : p published_form i x = \sum_j coefficient i j * D j x.
Proof.
case: i => /=; first by rewrite mulrC mulr_sumr.
- by under eq_bigr do rewrite mulrC; rewrite sum_pick.
- by under eq_bigr do rewrite mulrC; rewrite sum_pick.
Qed.

Lemma published_joint x : joint published_form x = \sum_j c j * D j x.
Proof.
rewrite form_joint -[D a x](sum_pick (D^~ x)) -[D t x](sum_pick (D^~ x)) /= mulr_suml !mulr_sumr -!big_split /=.
rewrite mulr_suml; apply: eq_bigr => j _; rewrite /c /T -/m.
by move: (_ == a) (_ == t) (_^-1) (m^-1) => e e' y z; move: (e%:R) (e'%:R) => *; field_in R.
Qed.

Lemma published_overlap i j : overlap published_form i j = \sum_h coefficient i h * coefficient j h / c h.
Proof.
rewrite -(disjoint_overlap disjoint _ _ c_gt0).
by apply: eq_bigr => x _; rewrite !published_mass published_joint.
Qed.

Let m0 : m != 0. Proof. by rewrite gt_eqF ?m_gt0. Qed.
Let T0 : T != 0. Proof. by rewrite gt_eqF ?T_gt0. Qed.
Let k0 : k != 0. Proof. by rewrite gt_eqF. Qed.
Let km0 : k + m != 0. Proof. by rewrite gt_eqF // addr_gt0 ?m_gt0. Qed.
Let kml0 : k + m * l != 0. Proof. by rewrite gt_eqF // addr_gt0 ?mulr_gt0 ?m_gt0. Qed.
Let klm0 : k + l * m != 0. Proof. by rewrite mulrC kml0. Qed.

Lemma c_inv j : (c j)^-1 = m * T / k + (m * T / (k + m) - m * T / k) * (j == a)%:R
                           + (m * T / (k + m * l) - m * T / k) * (j == t)%:R.
Proof.
have -> : m * T / (k + m) = T / (k / m + 1).
  by field_in R.
have -> : m * T / (k + m * l) = T / (k / m + l).
  by field_in R.
rewrite /c; case: (eqVneq j a) => [->|_]; first by rewrite (negPf a_not_t) mulr1n mulr0n; field_in R.
by case: eqP => _; rewrite ?mulr1n !mulr0n; field_in R.
Qed.

(** Theorem 4.2 in the published form, the overlaps: with T = k + 1 + l and m equal disjoint parts, whatever their
    distributions, S_at = 0, S_pt = T / (k + m l), S_pa = T / (k + m), S_aa = m T / (k + m), S_tt = m T / (k + m l)
    and S_pp = (T / m) ((m - 2) / k + 1 / (k + m) + 1 / (k + m l)). *)
Theorem published_overlaps :
  [/\ overlap published_form Align Perturb = 0,
      overlap published_form Pretrain Perturb = T / (k + m * l),
      overlap published_form Pretrain Align = T / (k + m),
      overlap published_form Align Align = m * T / (k + m)
    & overlap published_form Perturb Perturb = m * T / (k + m * l) /\
      overlap published_form Pretrain Pretrain = T / m * ((m - 2%:R) / k + 1 / (k + m) + 1 / (k + m * l))].
Proof.
have pick f i : \sum_j f j * (j == i)%:R / c j = f i / c i.
  by rewrite -[RHS](sum_pick (fun j => f j / c j)); apply: eq_bigr => j _; rewrite mulrAC.
rewrite !published_overlap /= !pick !c_inv !eqxx (eq_sym t) (negPf a_not_t) !mulr0 !mulr1 !addr0 !mul0r !mul1r.
split=> //; try by field_in R.
split; first by field_in R.
under eq_bigr do rewrite c_inv !mulrDr !(mulrA (m^-1 * m^-1)).
rewrite !big_split /= !sum_pick sumr_const -[_ *+ _]mulr_natr -/m.
by rewrite /T; field_in R.
Qed.

(** Theorem 4.2 in the published form, the derivatives, for m >= 2 equal disjoint parts: gamma_a' = 1 / (k + 1 + l) and
    gamma_p' = -(1 - (m - 1) l) / ((k + m l) (k + 1 + l)). *)
Theorem published_derivatives :
  dgamma published_form Align = 1 / (k + 1 + l) /\
  dgamma published_form Pretrain = - ((1 - (m - 1) * l) / ((k + m * l) * (k + 1 + l))).
Proof.
have [Sat Spt _ _ _] := published_overlaps.
rewrite !form_dgamma Sat Spt subr0; split=> //; rewrite /T; have T1 : k + 1 + l != 0 := T0; field_in R.
Qed.

(** The theorem's signs hold exactly for l < 1 / (m - 1): for l < 1/2 with three parts, for l < 1 with two. *)
Theorem published_signs : signs_hold published_form = (l < 1 / (m - 1)).
Proof.
have m1 : 0 < m - 1.
  rewrite subr_gt0 ltr1n -[#|part|]cardsT; apply: leq_trans (subset_leq_card (subsetT [set a; t])).
  by rewrite cards2 a_not_t.
rewrite one_sign_decides; have [_ ->] := published_derivatives.
rewrite oppr_lt0 pmulr_lgt0 ?invr_gt0 ?mulr_gt0 ?T_gt0 //; last by rewrite addr_gt0 ?mulr_gt0 ?m_gt0.
by rewrite ltr_pdivl_mulr // subr_gt0 mulrC.
Qed.

(** The ratio: r = (1 + m l / k) / (1 - (m - 1) l), for every l but 1 / (m - 1). *)
Theorem published_ratio : (m - 1) * l != 1 -> ratio published_form = (1 + m * l / k) / (1 - (m - 1) * l).
Proof.
rewrite eq_sym -subr_eq0 => lN0; rewrite /ratio form_k; have [-> ->] := published_derivatives.
have T1 : k + 1 + l != 0 := T0; rewrite mulrN invrN mulrNN.
by move: (1 - (m - 1) * l) lN0 (k + 1 + l) T1 => d ? y ?; field_in R.
Qed.

(** r -> 1 as l -> 0, with a bound: where (m - 1) l <= 1/2, 1 <= r <= 1 + 2 (m - 1 + m / k) l. *)
Theorem published_ratio_limit : (m - 1) * l <= 2%:R^-1 ->
  1 <= ratio published_form <= 1 + 2%:R * (m - 1 + m / k) * l.
Proof.
move=> small; have two : 2%:R != 0 :> R by rewrite pnatr_eq0.
have two0 : 0 < 2%:R :> R by rewrite ltr0n.
have half : 1 - (m - 1) * l >= 2%:R^-1.
  by rewrite ler_subr_addl -ler_subr_addr; have -> : 1 - 2%:R^-1 = 2%:R^-1 :> R by field_in R.
have d0 : 0 < 1 - (m - 1) * l by rewrite (lt_le_trans _ half) ?invr_gt0.
have dN := negbT (gt_eqF d0).
have m1 : 0 <= m - 1 by rewrite subr_ge0 ler1n part_gt0.
rewrite published_ratio; last by rewrite eq_sym -subr_eq0.
pose e := (m - 1 + m / k) * l.
have e0 : 0 <= e by rewrite mulr_ge0 ?(ltW l_gt0) // addr_ge0 // divr_ge0 ?(ltW k_gt0) ?(ltW m_gt0).
have -> : (1 + m * l / k) / (1 - (m - 1) * l) = 1 + e / (1 - (m - 1) * l).
  by rewrite /e; field_in R.
rewrite ler_addl divr_ge0 ?(ltW d0) //= ler_add2l -[leRHS]mulrA -/e mulrC ler_wpmul2r //.
by rewrite -[leRHS]invrK lef_pinv ?posrE ?invr_gt0.
Qed.

End PublishedForm.

Section SingleLeaves.

Variables (R : realFieldType) (leaf : finType).
Add Field F : (real_field_theory R).

(** All mass on one leaf. *)
Definition point (x : leaf) : distribution R leaf.
Proof.
exists (fun y => (y == x)%:R) => [y|]; first exact: ler0n.
by rewrite (bigD1 x) //= eqxx big1 ?addr0 // => y /negPf ->.
Defined.

(** The perturbation need not resemble D_1 for the signs to hold: with p_1 uniform on N leaves and p_2, p_3 two
    different single leaves, D_3 is 1 - 1/N from D_1 in total variation, and the signs hold for every k exactly where
    l < 1 / (N - 1). *)
Theorem unlike_and_it_holds (a t : leaf) (k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l) : a != t ->
  let m := published_form point k_gt0 l_gt0 a t in
  let N := #|leaf|%:R in
  [/\ forall x, p m Pretrain x = 1 / N, total_variation (p m Pretrain) (p m Perturb) = 1 - 1 / N
    & signs_hold m = (l < 1 / (N - 1))].
Proof.
move=> a_not_t m N.
have N0 : N != 0 by rewrite pnatr_eq0 -lt0n; apply/card_gt0P; exists a.
have N1 : 1 <= N by rewrite ler1n; apply/card_gt0P; exists a.
have uniform x : p m Pretrain x = 1 / N.
  by rewrite /= (bigD1 x) //= eqxx big1 ?addr0 // => y /negPf; rewrite eq_sym => ->.
split=> //; last first.
  apply: published_signs => // i j ij x /=; case: (eqVneq x i) => [->|_]; last by rewrite mul0r.
  by rewrite (negPf ij) mulr0.
have inv_le1 : 1 / N <= 1 by rewrite ler_pdivr_mulr ?mul1r // (lt_le_trans ltr01).
rewrite /total_variation (eq_bigr (fun x => 1 / N + (1 - 2%:R / N) * (x == t)%:R)) => [|x _]; last first.
  rewrite uniform /=; case: (eqVneq x t) => _.
    by rewrite mulr1n distrC ger0_norm ?subr_ge0 //; field_in R.
  by rewrite mulr0n subr0 mulr0 addr0 ger0_norm // divr_ge0 ?ler01 ?ler0n.
rewrite big_split /= sum_pick sumr_const -[_ *+ _]mulr_natr -/N.
have two : 2%:R != 0 :> R by rewrite pnatr_eq0.
by move: (N) N0 => y ?; field_in R.
Qed.

End SingleLeaves.

(** In numbers: p_1 uniform on 100 leaves, p_2 and p_3 two different single leaves, l = 1/1000.  D_3 is 99/100 from
    D_1 in total variation, and the signs hold for every k. *)
Theorem unlike_counterexample (R : realFieldType) (a t : 'I_100) (k : R) (k_gt0 : 0 < k)
    (l_gt0 : 0 < 1000%:R^-1 :> R) : a != t ->
  let m := published_form (@point R [finType of 'I_100]) k_gt0 l_gt0 a t in
  total_variation (p m Pretrain) (p m Perturb) = 99%:R / 100%:R /\ signs_hold m.
Proof.
move=> a_not_t m; have [_ far ->] := unlike_and_it_holds k_gt0 l_gt0 a_not_t.
have e : 99%:R = 100%:R - 1 :> R by rewrite -(natrB _ (isT : 1 <= 100)%N).
split; last by rewrite card_ord -e div1r ltf_pinv ?posrE ?ltr0n // ltr_nat.
have N0 : 100%:R != 0 :> R by rewrite pnatr_eq0.
by rewrite far card_ord e mulrBl divff.
Qed.
