(** Theorem 4.2's three datasets: the law, one sign decides both, and what holds for three separate datasets. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture FieldTactic Response.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** The parts that three datasets play: D_p, D_a and D_t. *)
Inductive role_name := Pretrain | Align | Perturb.

(** As a finite type, for sums over the three. *)
Definition role_code (i : role_name) : 'I_3 :=
  match i with Pretrain => @Ordinal 3 0 isT | Align => @Ordinal 3 1 isT | Perturb => @Ordinal 3 2 isT end.
Definition role_decode (i : 'I_3) : role_name :=
  match val i with 0 => Pretrain | 1 => Align | _ => Perturb end%N.
Lemma role_codeK : cancel role_code role_decode. Proof. by case. Qed.

Definition role_eqMixin := CanEqMixin role_codeK.
Canonical role_eqType := EqType role_name role_eqMixin.
Definition role_choiceMixin := CanChoiceMixin role_codeK.
Canonical role_choiceType := ChoiceType role_name role_choiceMixin.
Definition role_countMixin := CanCountMixin role_codeK.
Canonical role_countType := CountType role_name role_countMixin.
Definition role_finMixin := CanFinMixin role_codeK.
Canonical role_finType := FinType role_name role_finMixin.
Definition role : finType := [finType of role_name].

Lemma sum_role (R : zmodType) (F : role -> R) : \sum_i F i = F Pretrain + F Align + F Perturb.
Proof.
rewrite (reindex role_decode) /=; first by rewrite !big_ord_recl big_ord0 addr0 addrA.
by exists role_code => [[[|[|[|?]]] //= lt_i3] _|i _]; [exact: val_inj..|exact: role_codeK].
Qed.

Section Theorem42.

Variables (R : realFieldType) (leaf : finType) (m : mixture R role leaf).
Add Field F : (real_field_theory R).

(** k = n_p / n_a and l = n_t / n_a. *)
Definition k_of : R := n m Pretrain / n m Align.
Definition l_of : R := n m Perturb / n m Align.

(** gamma_i' = dgamma_i / dl = n_a R_it, with every size but n_t fixed.  [dgamma_derivative] of RateDerivatives.v shows
    that it is this derivative. *)
Definition dgamma (i : role) : R := n m Align * response m i Perturb.

(** What Theorem 4.2 says of the signs: gamma_p' < 0 < gamma_a'. *)
Definition signs_hold : bool := (dgamma Pretrain < 0) && (0 < dgamma Align).

(** r = -gamma_a' / (k gamma_p').  (Where gamma_p' = 0 this is 0 here, as x / 0 = 0; every theorem about r excludes
    that case.) *)
Definition ratio : R := - dgamma Align / (k_of * dgamma Pretrain).

Lemma k_gt0 : 0 < k_of. Proof. by rewrite divr_gt0 ?n_gt0. Qed.
Lemma l_gt0 : 0 < l_of. Proof. by rewrite divr_gt0 ?n_gt0. Qed.
Lemma dgamma_gt0 i : (0 < dgamma i) = (0 < response m i Perturb). Proof. by rewrite pmulr_rgt0 ?n_gt0. Qed.
Lemma dgamma_lt0 i : (dgamma i < 0) = (response m i Perturb < 0). Proof. by rewrite pmulr_rlt0 ?n_gt0. Qed.
Lemma dgamma_perturb_le0 : dgamma Perturb <= 0.
Proof. by rewrite pmulr_rle0 ?n_gt0 // self_response_le0. Qed.

(** The law: k gamma_p' + gamma_a' + l gamma_t' = 0. *)
Theorem law : k_of * dgamma Pretrain + dgamma Align + l_of * dgamma Perturb = 0.
Proof.
rewrite -[RHS](balance m Perturb) sum_role /k_of /l_of /dgamma.
have na : n m Align != 0 by rewrite gt_eqF ?n_gt0.
field_in R.
Qed.

(** One sign decides both: gamma_p' < 0 alone implies gamma_a' > 0. *)
Theorem one_sign_decides : signs_hold = (dgamma Pretrain < 0).
Proof.
rewrite /signs_hold; case: ltP => //= gp.
have -> : dgamma Align = - (k_of * dgamma Pretrain) - l_of * dgamma Perturb.
  by apply/eqP; rewrite -subr_eq0 -[X in _ == X]law; apply/eqP; move: (k_of) (l_of) => a b; field_in R.
rewrite ltr_paddr ?oppr_ge0 ?oppr_gt0 ?(pmulr_rle0 _ l_gt0) ?(pmulr_rlt0 _ k_gt0) ?dgamma_perturb_le0 //.
Qed.

(** The theorem's signs hold iff S_pt > 1. *)
Theorem signs_overlap : signs_hold = (1 < overlap m Pretrain Perturb).
Proof. by rewrite one_sign_decides dgamma_lt0 response_lt0. Qed.

(** Whatever k, the signs are one inequality between the alignment and the perturbation: they hold iff
    R_at > -l R_tt, iff 1 - S_at > l (S_tt - 1), iff <p_a - q, p_t - q> < -l <p_t - q, p_t - q> in the Fisher metric. *)
Theorem signs_align_perturb :
  [/\ signs_hold = (- l_of * response m Perturb Perturb < response m Align Perturb),
      signs_hold = (l_of * (overlap m Perturb Perturb - 1) < 1 - overlap m Align Perturb)
    & signs_hold = (fisher m (deviation m Align) (deviation m Perturb)
                     < - l_of * fisher m (deviation m Perturb) (deviation m Perturb))].
Proof.
have key : signs_hold = (- l_of * response m Perturb Perturb < response m Align Perturb).
  have na : n m Align != 0 by rewrite gt_eqF ?n_gt0.
  have lawR : response m Align Perturb - - l_of * response m Perturb Perturb = - (k_of * response m Pretrain Perturb).
    apply: (mulfI na); apply/eqP; rewrite -subr_eq0 -[X in _ == X]law /dgamma; apply/eqP.
    by move: (k_of) (l_of) => a b; field_in R.
  by rewrite one_sign_decides dgamma_lt0 -subr_gt0 lawR oppr_gt0 (pmulr_rlt0 _ k_gt0).
split=> //; last rewrite !fisher_overlap; rewrite key.
- rewrite -(ltr_pmul2r (total_size_gt0 m Align)) /response mulrA !divfK ?gt_eqF ?(total_size_gt0 m Align) //.
  by rewrite mulNr -mulrN opprB.
- rewrite -(ltr_pmul2r (total_size_gt0 m Align)) /response mulrA !divfK ?gt_eqF ?(total_size_gt0 m Align) //.
  by rewrite -subr_gt0 -[RHS]subr_gt0; congr (_ < _); move: (l_of) => l; field_in R.
Qed.

(** The ratio differs from 1 by the perturbation's own share: r = 1 + l gamma_t' / (k gamma_p') wherever
    gamma_p' is not 0. *)
Theorem ratio_law : dgamma Pretrain != 0 ->
  ratio = 1 + l_of * dgamma Perturb / (k_of * dgamma Pretrain).
Proof.
move=> gp; have k0 : k_of != 0 by rewrite gt_eqF ?k_gt0.
have -> : ratio = 1 + l_of * dgamma Perturb / (k_of * dgamma Pretrain)
    - (k_of * dgamma Pretrain + dgamma Align + l_of * dgamma Perturb) / (k_of * dgamma Pretrain).
  by rewrite /ratio; move: (k_of) k0 (l_of) (dgamma Pretrain) gp => a ? b c ?; field_in R.
by rewrite law mul0r subr0.
Qed.

(** Where gamma_p' < 0, that is where the theorem's signs hold, the ratio is at least 1. *)
Theorem ratio_ge1 : dgamma Pretrain < 0 -> 1 <= ratio.
Proof.
move=> gp; rewrite ratio_law ?lt_eqF // ler_addl mulr_le0 //.
- by rewrite pmulr_rle0 ?l_gt0 ?dgamma_perturb_le0.
- by rewrite invr_le0 pmulr_rle0 ?k_gt0 // ltW.
Qed.

End Theorem42.

Section ThreeDatasetForm.

Variables (R : realFieldType) (leaf : finType).
Add Field F : (real_field_theory R).

Section Sizes.
Variables (k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l).

(** Sizes k, 1 and l. *)
Definition form_sizes (i : role) : R := match i with Pretrain => k | Align => 1 | Perturb => l end.
Lemma form_sizes_gt0 i : 0 < form_sizes i. Proof. by case: i => //=; exact: ltr01. Qed.

(** Three datasets D_1, D_2, D_3 of sizes k, 1 and l: D_1 is large, D_2 aligns, D_3 perturbs. *)
Definition three_dataset_form (p1 p2 p3 : distribution R leaf) : mixture R role leaf :=
  @Mixture R role leaf (fun i => match i with Pretrain => p1 | Align => p2 | Perturb => p3 end)
    form_sizes form_sizes_gt0.

Variables p1 p2 p3 : distribution R leaf.
Let m := three_dataset_form p1 p2 p3.

Lemma form_k : k_of m = k. Proof. by rewrite /k_of /= divr1. Qed.
Lemma form_l : l_of m = l. Proof. by rewrite /l_of /= divr1. Qed.
Lemma form_total : total_size m = k + 1 + l. Proof. by rewrite /total_size sum_role. Qed.
Lemma form_total_gt0 : 0 < k + 1 + l. Proof. by rewrite -form_total (total_size_gt0 m Align). Qed.
Lemma form_joint x : joint m x = (k * p1 x + p2 x + l * p3 x) / (k + 1 + l).
Proof. by rewrite /joint sum_role /weight form_total /= !mulrDl mul1r !(mulrAC _ _^-1) [p2 x / _]mulrC. Qed.
Lemma form_dgamma i : dgamma m i = (1 - overlap m i Perturb) / (k + 1 + l).
Proof. by rewrite /dgamma /= mul1r /response form_total. Qed.

(** For disjoint datasets the signs fail: gamma_1' = gamma_2' = 1 / (k + 1 + l) > 0, both rise alike.  (It is enough
    that D_3 shares no leaf with the others.) *)
Theorem three_datasets_disjoint :
  (forall x, p1 x * p3 x = 0) -> (forall x, p2 x * p3 x = 0) ->
  [/\ dgamma m Pretrain = 1 / (k + 1 + l), dgamma m Align = 1 / (k + 1 + l) & ~~ signs_hold m].
Proof.
move=> d13 d23; have dp : dgamma m Pretrain = 1 / (k + 1 + l).
  by rewrite form_dgamma /overlap big1 ?subr0 // => x _; rewrite /= d13 mul0r.
split=> //; first by rewrite form_dgamma /overlap big1 ?subr0 // => x _; rewrite /= d23 mul0r.
by rewrite one_sign_decides dp -leNgt divr_ge0 ?ler01 ?(ltW form_total_gt0).
Qed.

(** If D_3 is distributed as D_1 and D_2 is not, the signs hold for every k and l, whatever the overlap, and
    r = (k + l) / k. *)
Theorem perturbation_like_pretraining :
  (forall x, p3 x = p1 x) -> ~ (forall x, p2 x = p1 x) -> signs_hold m /\ ratio m = (k + l) / k.
Proof.
move=> e31 n21; have same : dgamma m Pretrain = dgamma m Perturb.
  rewrite !form_dgamma; congr ((1 - _) / _).
  by apply: eq_bigr => x _; rewrite /= !e31.
have neg : dgamma m Pretrain < 0.
  rewrite lt_neqAle {2}same dgamma_perturb_le0 andbT same /dgamma /= mul1r; apply/negP => /eqP.
  move/self_response_eq0 => e3q; apply: n21 => x; move: (e3q x); rewrite form_joint /= e31 => e1q.
  have T0 : k + 1 + l != 0 by rewrite gt_eqF ?form_total_gt0.
  have -> : p2 x = (k * p1 x + p2 x + l * p1 x) / (k + 1 + l) * (k + 1 + l) - (k + l) * p1 x.
    by rewrite divfK //; field_in R.
  by rewrite -e1q; field_in R.
split; first by rewrite one_sign_decides.
have k0 : k != 0 by rewrite gt_eqF.
rewrite ratio_law ?lt_eqF // form_k form_l -same; move: (lt_eqF neg) => /negbT neg0.
by move: (dgamma m Pretrain) neg0 => g ?; field_in R.
Qed.

(** The exact special case: if D_3 is distributed as D_1 and D_2 is disjoint from both, then
    gamma_1' = -1 / ((k + l) (k + 1 + l)), gamma_2' = 1 / (k + 1 + l), r = (k + l) / k, and the signs hold. *)
Theorem three_datasets_special_case :
  (forall x, p3 x = p1 x) -> (forall x, p1 x * p2 x = 0) ->
  [/\ dgamma m Pretrain = - (1 / ((k + l) * (k + 1 + l))), dgamma m Align = 1 / (k + 1 + l),
      ratio m = (k + l) / k & signs_hold m].
Proof.
move=> e31 d12; have T0 : k + 1 + l != 0 by rewrite gt_eqF ?form_total_gt0.
have kl0 : k + l != 0 by rewrite gt_eqF ?addr_gt0.
have n21 : ~ (forall x, p2 x = p1 x).
  move=> e21; have /eqP := mass_sum1 p1; rewrite big1 ?(eq_sym 0) ?oner_eq0 // => x _.
  by have /eqP := d12 x; rewrite e21 mulf_eq0 orbb => /eqP.
have [holds ->] := perturbation_like_pretraining e31 n21; split=> //; rewrite form_dgamma; last first.
  by rewrite /overlap big1 ?subr0 // => x _; rewrite /= e31 [p2 x * _]mulrC d12 mul0r.
have -> : overlap m Pretrain Perturb = (k + 1 + l) / (k + l); last by field_in R.
transitivity (\sum_x (k + 1 + l) / (k + l) * p1 x); last by rewrite -mulr_sumr mass_sum1 mulr1.
apply: eq_bigr => x _; rewrite form_joint /= e31.
case: (eqVneq (p1 x) 0) => [->|p1x]; first by rewrite mulr0 !mul0r mulr0.
have -> : p2 x = 0 by apply/eqP; have /eqP := d12 x; rewrite mulf_eq0 (negPf p1x).
have kp : k * p1 x + l * p1 x != 0 by rewrite -mulrDl mulf_neq0.
by rewrite addr0; field_in R.
Qed.

Variables (eps : R) (eps_ge0 : 0 <= eps) (eps_le1 : eps <= 1).
Hypothesis n21 : ~ (forall x, p2 x = p1 x).
Hypothesis e3 : forall x, p3 x = p1 x + eps * (p2 x - p1 x).

Let v x := p2 x - p1 x.
Let c := (1 + l * eps) / (k + 1 + l).

Lemma segment_fisher (a b : R) i j :
  (forall x, deviation m i x = a * v x) -> (forall x, deviation m j x = b * v x) ->
  fisher m (deviation m i) (deviation m j) = a * b * fisher m v v.
Proof.
move=> di dj; rewrite /fisher mulr_sumr; apply: eq_bigr => x _.
by rewrite di dj; move: (joint m x)^-1 => y; field_in R.
Qed.

Lemma segment_deviation x :
  [/\ deviation m Pretrain x = - c * v x, deviation m Align x = (1 - c) * v x
    & deviation m Perturb x = (eps - c) * v x].
Proof.
have T0 : k + 1 + l != 0 by rewrite gt_eqF ?form_total_gt0.
by rewrite /deviation form_joint /= e3 /c /v; split; field_in R.
Qed.

Lemma segment_fisher_gt0 : 0 < fisher m v v.
Proof.
rewrite lt_neqAle fisher_ge0 eq_sym andbT; apply/negP; rewrite psumr_eq0 => [/allP all0|x _]; last first.
  by rewrite -expr2 mulr_ge0 ?sqr_ge0 // invr_ge0 joint_ge0.
apply: n21 => x; have := all0 x (mem_index_enum x); rewrite /= !mulf_eq0 invr_eq0 orbb subr_eq0.
case/orP=> /eqP // q0; have := joint_eq0 Pretrain q0; have := joint_eq0 Align q0; rewrite /= => -> -> //.
Qed.

Lemma segment_lt : (eps < c) = (eps * (k + 1) < 1).
Proof.
rewrite /c ltr_pdivl_mulr ?form_total_gt0 // -subr_gt0 -[RHS]subr_gt0; congr (_ < _); field_in R.
Qed.

Lemma segment_gt : (c < eps) = (1 < eps * (k + 1)).
Proof.
rewrite /c ltr_pdivr_mulr ?form_total_gt0 // -[1 < _]subr_gt0 -[_ < eps * _]subr_gt0; congr (_ < _); field_in R.
Qed.

Lemma segment_c_gt0 : 0 < c.
Proof. by rewrite divr_gt0 ?form_total_gt0 // ltr_paddr ?ltr01 // mulr_ge0 // ltW. Qed.

(** Resemblance to D_1 does not decide: with D_1 and D_2 different and p_3 = p_1 + eps (p_2 - p_1) on the ray from
    p_1 through p_2, eps >= 0, the signs hold iff eps (k + 1) < 1, whatever l. *)
Theorem segment_signs : signs_hold m = (eps * (k + 1) < 1).
Proof.
rewrite one_sign_decides dgamma_lt0; case: (sign_rule m Pretrain Perturb) => _ _ _ -> _.
rewrite (segment_fisher (a := - c) (b := eps - c)); try by move=> x; case: (segment_deviation x).
rewrite pmulr_lgt0 ?segment_fisher_gt0 // nmulr_rgt0 ?oppr_lt0 ?segment_c_gt0 // subr_lt0.
exact: segment_lt.
Qed.

(** Beyond, where eps (k + 1) > 1 and eps <= 1, both signs come out reversed. *)
Theorem segment_reversed : 1 < eps * (k + 1) -> 0 < dgamma m Pretrain /\ dgamma m Align < 0.
Proof.
rewrite -segment_gt => gt_c; rewrite dgamma_gt0 dgamma_lt0.
case: (sign_rule m Pretrain Perturb) => _ -> _ _ _; case: (sign_rule m Align Perturb) => _ _ _ -> _.
rewrite (segment_fisher (a := - c) (b := eps - c)); try by move=> x; case: (segment_deviation x).
rewrite (segment_fisher (a := 1 - c) (b := eps - c)); try by move=> x; case: (segment_deviation x).
rewrite pmulr_llt0 ?segment_fisher_gt0 // nmulr_rlt0 ?oppr_lt0 ?segment_c_gt0 // subr_gt0; split=> //.
by rewrite pmulr_lgt0 ?segment_fisher_gt0 // mulr_gt0 ?subr_gt0 // (lt_le_trans gt_c).
Qed.

End Sizes.
End ThreeDatasetForm.

(** Theorem 4.2 for three separate datasets: the counterexample of a D_3 that all but equals D_1. *)
Section Counterexample.

Variables (R : realFieldType).
Add Field F : (real_field_theory R).

(** The distance of two distributions in total variation. *)
Definition total_variation (leaf : finType) (p1 p2 : distribution R leaf) : R := (\sum_x `|p1 x - p2 x|) / 2%:R.

(** Two leaves, of masses a and 1 - a. *)
Definition two_leaves (a : R) (a_ge0 : 0 <= a) (a_le1 : a <= 1) : distribution R [finType of bool].
Proof.
exists (fun x : bool => if x then a else 1 - a) => [[]|]; rewrite ?subr_ge0 //.
by rewrite big_bool /= addrC subrK.
Defined.

Lemma half_ge0 : 0 <= 2%:R^-1 :> R. Proof. by rewrite invr_ge0 ler0n. Qed.
Lemma half_le1 : 2%:R^-1 <= 1 :> R. Proof. by rewrite invf_le1 ?ltr0n // ler1n. Qed.

(** "It holds when the perturbation resembles D_1" is false: p_1 = (1/2, 1/2), p_2 = (1, 0),
    p_3 = p_1 + eps (p_2 - p_1) is eps / 2 from p_1 in total variation; for every eps from 0 (excluded) to 1 and every
    l, as soon as k > 1 / eps - 1, the theorem fails and both its signs are reversed. *)
Theorem resemblance_does_not_decide (eps k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l)
    (p1 p2 p3 : distribution R [finType of bool]) :
  0 < eps <= 1 -> 1 < eps * (k + 1) ->
  p1 true = 2%:R^-1 -> p2 true = 1 -> (forall x, p3 x = p1 x + eps * (p2 x - p1 x)) ->
  let m := three_dataset_form k_gt0 l_gt0 p1 p2 p3 in
  [/\ total_variation p1 p3 = eps / 2%:R, ~~ signs_hold m, 0 < dgamma m Pretrain & dgamma m Align < 0].
Proof.
move=> /andP[eps0 eps1] far e1 e2 e3 m; have two : 2%:R != 0 :> R by rewrite pnatr_eq0.
have half : 2%:R^-1 != 1 :> R by rewrite invr_eq1 (eqr_nat _ 2 1).
have n21 : ~ (forall x, p2 x = p1 x) by move/(_ true)/eqP; rewrite e1 e2 eq_sym (negPf half).
have [rp ra] := segment_reversed k_gt0 l_gt0 (ltW eps0) eps1 n21 e3 far; split=> //; last first.
  by rewrite (segment_signs k_gt0 l_gt0 (ltW eps0) n21 e3) -leNgt ltW.
have p1f : p1 false = 2%:R^-1.
  by have := mass_sum1 p1; rewrite big_bool e1 => /(canRL (addKr _)) ->; field_in R.
have p2f : p2 false = 0 by have := mass_sum1 p2; rewrite big_bool e2 => /(canRL (addKr _)) ->; rewrite addNr.
rewrite /total_variation big_bool /= !e3 e1 e2 p1f p2f.
have -> : 2%:R^-1 - (2%:R^-1 + eps * (1 - 2%:R^-1)) = - (eps / 2%:R) :> R by field_in R.
have -> : 2%:R^-1 - (2%:R^-1 + eps * (0 - 2%:R^-1)) = eps / 2%:R :> R by field_in R.
by rewrite normrN ger0_norm ?divr_ge0 ?ler0n ?(ltW eps0) //; field_in R.
Qed.

(** The counterexample in numbers: p_1 = (1/2, 1/2), p_2 = (1, 0), p_3 = p_1 + 10^-4 (p_2 - p_1), k = 10^6,
    l = 10^-3.  D_3 is 5 / 10^5 from D_1 in total variation, and both signs come out reversed. *)
Theorem resemblance_counterexample :
  exists (p1 p2 p3 : distribution R [finType of bool]) (k_gt0 : 0 < 10%:R ^+ 6 :> R) (l_gt0 : 0 < 10%:R ^- 3 :> R),
    let m := three_dataset_form k_gt0 l_gt0 p1 p2 p3 in
    [/\ p1 true = 2%:R^-1, p2 true = 1, (forall x, p3 x = p1 x + 10%:R ^- 4 * (p2 x - p1 x)),
        total_variation p1 p3 = 5%:R / 10%:R ^+ 5 & [/\ ~~ signs_hold m, 0 < dgamma m Pretrain & dgamma m Align < 0]].
Proof.
have ten0 : 0 < 10%:R :> R by rewrite ltr0n.
have e0 : 0 < 10%:R ^- 4 :> R by rewrite invr_gt0 exprn_gt0.
have e1 : 10%:R ^- 4 <= 1 :> R by rewrite invf_le1 ?exprn_gt0 // exprn_ege1 // ler1n.
have h1 := half_le1; have h0 := half_ge0.  have one_ge0 : 0 <= 1 :> R := ler01.
pose a3 : R := 2%:R^-1 + 10%:R ^- 4 * (1 - 2%:R^-1).
have two : 2%:R != 0 :> R by rewrite pnatr_eq0.
have a3_ge0 : 0 <= a3 by rewrite addr_ge0 // mulr_ge0 ?(ltW e0) // subr_ge0.
have a3_le1 : a3 <= 1.
  rewrite /a3 -[leRHS](addrNK (2%:R^-1)) addrC ler_add2r ger_pmull // subr_gt0.
  by rewrite invf_lt1 ?ltr0n // ltr1n.
exists (two_leaves h0 h1), (two_leaves one_ge0 (lexx 1)), (two_leaves a3_ge0 a3_le1).
have k0 : 0 < 10%:R ^+ 6 :> R by rewrite exprn_gt0.
have l0 : 0 < 10%:R ^- 3 :> R by rewrite invr_gt0 exprn_gt0.
exists k0, l0 => m.
have e3 : forall x, two_leaves a3_ge0 a3_le1 x
    = two_leaves h0 h1 x + 10%:R ^- 4 * (two_leaves one_ge0 (lexx 1) x - two_leaves h0 h1 x).
  by case; rewrite /= /a3; move: (10%:R ^- 4) => e; field_in R.
have far : 1 < 10%:R ^- 4 * (10%:R ^+ 6 + 1) :> R.
  by rewrite mulrC ltr_pdivl_mulr ?exprn_gt0 // mul1r ltr_paddr ?ler01 // ltr_eexpn2l // ltr1n.
have e01 : (0 < (10%:R ^- 4 : R)) && ((10%:R ^- 4 : R) <= 1) by apply/andP.
have [tv -> -> ->] := resemblance_does_not_decide (p1 := two_leaves h0 h1) (p2 := two_leaves one_ge0 (lexx 1))
  k0 l0 e01 far erefl erefl e3; split=> //.
have -> : 5%:R = 10%:R / 2%:R :> R by rewrite -[10%N]/(5 * 2)%N natrM mulfK.
have ten : 10%:R != 0 :> R by rewrite gt_eqF.
rewrite tv [10%:R ^+ 5]exprS.
by move: (10%:R) ten => z z0; field_in R; apply/eqP; rewrite expf_neq0.
Qed.

End Counterexample.
