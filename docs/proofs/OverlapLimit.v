(** The limit on l for datasets that overlap: what the geometry at p_p alone decides about Theorem 4.2's signs.

    In the first section the datasets are any three, of sizes k, 1 and l, such that D_p has every leaf that D_t has; in
    the second D_p is the average of any parts, and so this holds. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture FieldTactic Response ThreeDatasets PublishedForm.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section OverlapLimit.

Variables (R : realFieldType) (leaf : finType) (p1 p2 p3 : distribution R leaf).
Add Field F : (real_field_theory R).

(** A_at = sum_x p_a p_t / p_p, the overlap of D_a and D_t at p_p, where D_p alone is the model. *)
Definition local_overlap (pp pa pt : distribution R leaf) : R := \sum_x pa x * pt x / pp x.

Let A_at := local_overlap p1 p2 p3.
Let A_tt := local_overlap p1 p3 p3.

(** D_p has every leaf that D_t has. *)
Hypothesis support : forall x, p1 x = 0 -> p3 x = 0.

(** z = (p_a + l p_t) / p_p: what has been added to a leaf, relative to D_p. *)
Definition added (l : R) (x : leaf) : R := (p2 x + l * p3 x) / p1 x.

(** The mean of z^2 in D_t: it bounds how far the limit of large k is. *)
Definition added_square (l : R) : R := \sum_x p3 x * added l x ^+ 2.

Lemma added_ge0 l x : 0 <= l -> 0 <= added l x.
Proof. by move=> l0; rewrite divr_ge0 ?mass_ge0 // addr_ge0 ?mulr_ge0 ?mass_ge0. Qed.

Lemma added_mean l : \sum_x p3 x * added l x = A_at + l * A_tt.
Proof.
rewrite mulr_sumr -big_split /=; apply: eq_bigr => x _.
by rewrite /added; move: (p1 x)^-1 => y; field_in R.
Qed.

Lemma added_gt0 k l x : 0 < k -> 0 <= l -> 0 < k + added l x.
Proof. by move=> k0 l0; rewrite ltr_paddr ?added_ge0. Qed.

Lemma added_mean_ge0 l : 0 <= l -> 0 <= A_at + l * A_tt.
Proof. by move=> l0; rewrite -added_mean sumr_ge0 // => x _; rewrite mulr_ge0 ?mass_ge0 ?added_ge0. Qed.

Lemma added_square_ge0 l : 0 <= added_square l.
Proof. by apply: sumr_ge0 => x _; rewrite mulr_ge0 ?mass_ge0 ?sqr_ge0. Qed.

Lemma added_polynomial a b c l :
  \sum_x p3 x * (a + b * added l x + c * added l x ^+ 2) = a + b * (A_at + l * A_tt) + c * added_square l.
Proof.
transitivity (a * (\sum_x p3 x) + b * (\sum_x p3 x * added l x) + c * added_square l); last first.
  by rewrite mass_sum1 added_mean mulr1.
rewrite /added_square !mulr_sumr -!big_split /=.
by apply: eq_bigr => x _; field_in R.
Qed.

Lemma harmonic_lower k l : 0 < k -> 0 <= l ->
  (k + (A_at + l * A_tt))^-1 <= \sum_x p3 x / (k + added l x).
Proof.
move=> k0 l0; pose B := k + (A_at + l * A_tt); have B0 : 0 < B by rewrite ltr_paddr ?added_mean_ge0.
have BN := negbT (gt_eqF B0).
pose A := A_at + l * A_tt; rewrite -/A in B B0 BN *.
have -> : B^-1 = \sum_x p3 x * (B^-1 + A / B ^+ 2 + - (B ^+ 2)^-1 * added l x + 0 * added l x ^+ 2).
  by rewrite added_polynomial -/A; move: (B) BN => y ?; field_in R.
apply: ler_sum => x _; rewrite ler_wpmul2l ?mass_ge0 // -subr_ge0.
have z0 := added_gt0 x k0 l0; have zN := negbT (gt_eqF z0).
suff -> : (k + added l x)^-1 - (B^-1 + A / B ^+ 2 + - (B ^+ 2)^-1 * added l x + 0 * added l x ^+ 2) =
    (added l x - A) ^+ 2 / ((k + added l x) * B ^+ 2).
  by rewrite divr_ge0 ?sqr_ge0 // mulr_ge0 ?sqr_ge0 ?ltW.
by rewrite /B in BN *; move: (added l x) (A) zN BN => z y ? ?; field_in R.
Qed.

Lemma harmonic_upper k l : 0 < k -> 0 <= l ->
  \sum_x p3 x / (k + added l x) <= k^-1 - (A_at + l * A_tt) / k ^+ 2 + added_square l / k ^+ 3.
Proof.
move=> k0 l0; have kN := negbT (gt_eqF k0).
have -> : k^-1 - (A_at + l * A_tt) / k ^+ 2 + added_square l / k ^+ 3 =
    \sum_x p3 x * (k^-1 + - (k ^+ 2)^-1 * added l x + (k ^+ 3)^-1 * added l x ^+ 2).
  by rewrite added_polynomial mulNr [_ / k ^+ 2]mulrC [_ / k ^+ 3]mulrC.
apply: ler_sum => x _; rewrite ler_wpmul2l ?mass_ge0 // -subr_ge0.
have z0 := added_gt0 x k0 l0; have zN := negbT (gt_eqF z0).
suff -> : k^-1 + - (k ^+ 2)^-1 * added l x + (k ^+ 3)^-1 * added l x ^+ 2 - (k + added l x)^-1 =
    added l x ^+ 3 / (k ^+ 3 * (k + added l x)).
  by rewrite divr_ge0 ?exprn_ge0 ?added_ge0 // mulr_ge0 ?exprn_ge0 ?ltW.
by rewrite !exprS !expr0 !mulr1; move: (added l x) zN => z ?; field_in R.
Qed.

(** Beyond the limit: (k + 1 + l) sum_x p_t / (k + z) <= 1 for large k, even at l = 0. *)
Lemma harmonic_above k l : 0 < k -> 0 <= l -> 1 - A_at < l * (A_tt - 1) ->
  added_square l / (A_at + l * A_tt - 1 - l) <= k -> (k + 1 + l) * (\sum_x p3 x / (k + added l x)) <= 1.
Proof.
move=> k0 l0 beyond large; have T0 : 0 < k + 1 + l by rewrite ltr_paddr // addr_gt0.
pose d := A_at + l * A_tt - 1 - l; have d0 : 0 < d.
  move: beyond; rewrite -subr_gt0; congr (_ < _); rewrite /d; field_in R.
rewrite -/d ler_pdivr_mulr // in large; have kN := negbT (gt_eqF k0).
apply: le_trans (_ : (k + 1 + l) * (k^-1 - (A_at + l * A_tt) / k ^+ 2 + added_square l / k ^+ 3) <= 1).
  by rewrite ler_wpmul2l ?(ltW T0) // harmonic_upper.
set Z := added_square l in large *.
have -> : (k + 1 + l) * (k^-1 - (A_at + l * A_tt) / k ^+ 2 + Z / k ^+ 3) =
    1 - (k * (k * d - Z) + (1 + l) * (k * d - Z + k * (1 + l))) / k ^+ 3.
  by rewrite /d !exprS !expr0 !mulr1; field_in R.
have kdZ : 0 <= k * d - Z by rewrite subr_ge0.
have l1 : 0 <= 1 + l by rewrite addr_ge0 ?ler01.
have num : 0 <= k * (k * d - Z) + (1 + l) * (k * d - Z + k * (1 + l)).
  have k_ge0 := ltW k0; apply: addr_ge0; apply: mulr_ge0 => //; apply: addr_ge0 => //; exact: mulr_ge0.
by rewrite ler_subl_addr ler_addl divr_ge0 ?exprn_ge0 ?(ltW k0).
Qed.

Section Form.
Variables (k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l).
Let m := three_dataset_form k_gt0 l_gt0 p1 p2 p3.

Lemma overlap_harmonic : overlap m Pretrain Perturb = (k + 1 + l) * \sum_x p3 x / (k + added l x).
Proof.
rewrite mulr_sumr; apply: eq_bigr => x _; rewrite form_joint /=.
case: (eqVneq (p1 x) 0) => [e|pN]; first by rewrite (support e) !(mulr0, mul0r).
have T0 : k + 1 + l != 0 by rewrite gt_eqF ?addr_gt0 ?ltr01.
have := negbT (gt_eqF (added_gt0 x k_gt0 (ltW l_gt0))); rewrite /added => zN.
have uN : k * p1 x + p2 x + l * p3 x != 0.
  have -> : k * p1 x + p2 x + l * p3 x = (k + (p2 x + l * p3 x) / p1 x) * p1 x by field_in R.
  by rewrite mulf_neq0.
have uN2 : k * p1 x + (p2 x + l * p3 x) != 0 by rewrite addrA.
by field_in R.
Qed.

(** S_pt is never below (k + 1 + l) / (k + A_at + l A_tt).  (For disjoint parts it is equal to it.) *)
Theorem overlap_lower_bound : (k + 1 + l) / (k + A_at + l * A_tt) <= overlap m Pretrain Perturb.
Proof.
rewrite overlap_harmonic ler_wpmul2l ?addr_ge0 ?ler01 ?(ltW k_gt0) ?(ltW l_gt0) //.
by rewrite -addrA harmonic_lower ?ltW.
Qed.

(** Below the limit the theorem's signs hold, for every k: if l (A_tt - 1) < 1 - A_at, that is l < l* where
    A_tt > 1. *)
Theorem signs_below_limit : l * (A_tt - 1) < 1 - A_at -> signs_hold m.
Proof.
move=> below; rewrite signs_overlap; apply: lt_le_trans overlap_lower_bound.
rewrite ltr_pdivl_mulr ?mul1r; last by rewrite -addrA ltr_paddr ?added_mean_ge0 ?ltW.
by move: below; rewrite -subr_gt0 -[k + _ + _ < _]subr_gt0; congr (_ < _); field_in R.
Qed.

(** Above the limit they fail for every large k: if l (A_tt - 1) > 1 - A_at, then gamma_p' >= 0 for every
    k >= K = (sum_x p_t z^2) / (A_at + l A_tt - 1 - l), z = (p_a + l p_t) / p_p. *)
Theorem signs_above_limit : 1 - A_at < l * (A_tt - 1) ->
  added_square l / (A_at + l * A_tt - 1 - l) <= k -> ~~ signs_hold m.
Proof.
move=> above large; rewrite signs_overlap -leNgt overlap_harmonic.
exact: (harmonic_above k_gt0 (ltW l_gt0)).
Qed.

(** If A_at > 1, both signs come out reversed for every large k: for
    k > (sum_x (p_a p_t / p_p) z) / (A_at (A_at - 1)). *)
Theorem signs_reversed : 1 < A_at -> (\sum_x p2 x * p3 x / p1 x * added l x) / (A_at * (A_at - 1)) < k ->
  0 < dgamma m Pretrain /\ dgamma m Align < 0.
Proof.
move=> A1 large; have A0 : 0 < A_at by rewrite (lt_trans _ A1).
suff acute : 1 < overlap m Align Perturb.
  have neg : dgamma m Align < 0 by rewrite dgamma_lt0 response_lt0.
  split=> //; have := law m; rewrite form_k form_l -addrA => /eqP; rewrite addr_eq0 => /eqP e.
  by rewrite -(pmulr_rgt0 _ k_gt0) e oppr_gt0 -(addr0 0) ltr_le_add // pmulr_rle0 // dgamma_perturb_le0.
set W := \sum_x _ in large; pose B := k * A_at + W.
have W0 : 0 <= W.
  by apply: sumr_ge0 => x _; rewrite (mulr_ge0 _ (added_ge0 x (ltW l_gt0))) // divr_ge0 ?mulr_ge0 ?mass_ge0.
have B0 : 0 < B by rewrite ltr_paddr // mulr_gt0.
have BN := negbT (gt_eqF B0).
have lower : A_at ^+ 2 / B <= \sum_x p2 x * p3 x / p1 x / (k + added l x).
  have -> : A_at ^+ 2 / B = \sum_x p2 x * p3 x / p1 x * (A_at / B + A_at * W / B ^+ 2 - A_at ^+ 2 / B ^+ 2 * added l x).
    under eq_bigr do rewrite mulrBr [_ * (_ * added l _)]mulrCA.
    rewrite sumrB -mulr_suml -mulr_sumr -/W -/(local_overlap p1 p2 p3) -/A_at.
    by move: (B) BN (A_at) => y ? z; field_in R.
  apply: ler_sum => x _; rewrite ler_wpmul2l ?divr_ge0 ?mulr_ge0 ?mass_ge0 // -subr_ge0.
  have z0 := added_gt0 x k_gt0 (ltW l_gt0); have zN := negbT (gt_eqF z0).
  suff -> : (k + added l x)^-1 - (A_at / B + A_at * W / B ^+ 2 - A_at ^+ 2 / B ^+ 2 * added l x) =
      (B - A_at * (k + added l x)) ^+ 2 / ((k + added l x) * B ^+ 2).
    by rewrite divr_ge0 ?sqr_ge0 // mulr_ge0 ?sqr_ge0 ?ltW.
  by rewrite /B in BN *; move: (A_at) (W) (added l x) zN BN => y w z ? ?; field_in R.
have -> : overlap m Align Perturb = (k + 1 + l) * \sum_x p2 x * p3 x / p1 x / (k + added l x).
  rewrite mulr_sumr; apply: eq_bigr => x _; rewrite form_joint /=.
  case: (eqVneq (p1 x) 0) => [e|pN]; first by rewrite (support e) !(mulr0, mul0r).
  have T0 : k + 1 + l != 0 by rewrite gt_eqF ?addr_gt0 ?ltr01.
  have zN := negbT (gt_eqF (added_gt0 x k_gt0 (ltW l_gt0))).
  have uN : k * p1 x + p2 x + l * p3 x != 0.
    have -> : k * p1 x + p2 x + l * p3 x = (k + added l x) * p1 x by rewrite /added; field_in R.
    by rewrite mulf_neq0.
  have uN2 : k * p1 x + (p2 x + l * p3 x) != 0 by rewrite addrA.
  by rewrite /added; field_in R.
have T0 : 0 < k + 1 + l by rewrite !addr_gt0 ?ltr01.
apply: lt_le_trans (_ : (k + 1 + l) * (A_at ^+ 2 / B) <= _); last by rewrite ler_wpmul2l ?(ltW T0).
rewrite mulrA ltr_pdivl_mulr // mul1r.
move: large; rewrite ltr_pdivr_mulr ?mulr_gt0 ?subr_gt0 // => large.
rewrite -subr_gt0; have -> : (k + 1 + l) * A_at ^+ 2 - B = k * (A_at * (A_at - 1)) - W + (1 + l) * A_at ^+ 2.
  by rewrite /B; field_in R.
by rewrite addr_gt0 ?subr_gt0 // mulr_gt0 ?exprn_gt0 // addr_gt0 ?ltr01.
Qed.

End Form.

Lemma slack_gap k l l' : 0 < k -> 0 <= l -> 0 <= l' ->
  (k + 1 + l) * (1 - (k + 1 + l) * \sum_x p3 x / (k + added l x))
    - (k + 1 + l') * (1 - (k + 1 + l') * \sum_x p3 x / (k + added l' x))
  = (l - l') * \sum_x p1 x * (k * p1 x + p2 x - (k + 1) * p3 x) ^+ 2
                      / ((k * p1 x + p2 x + l * p3 x) * (k * p1 x + p2 x + l' * p3 x)).
Proof.
move=> k0 l0 l'0; rewrite -(mass_sum1 p1) !mulr_sumr -!sumrB !mulr_sumr -sumrB; apply: eq_bigr => x _.
case: (eqVneq (p1 x) 0) => [e|pN]; first by rewrite e (support e) !(mulr0, mul0r, subr0).
have zN := negbT (gt_eqF (added_gt0 x k0 l0)); have z'N := negbT (gt_eqF (added_gt0 x k0 l'0)).
have uE h : k * p1 x + p2 x + h * p3 x = (k + added h x) * p1 x by rewrite /added; field_in R.
have uN : k * p1 x + p2 x + l * p3 x != 0 by rewrite uE mulf_neq0.
have u'N : k * p1 x + p2 x + l' * p3 x != 0 by rewrite uE mulf_neq0.
have uN2 : k * p1 x + (p2 x + l * p3 x) != 0 by rewrite addrA.
have u'N2 : k * p1 x + (p2 x + l' * p3 x) != 0 by rewrite addrA.
by rewrite /added; field_in R.
Qed.

Lemma slack_monotone k l l' : 0 < k -> 0 <= l' -> l' <= l ->
  (k + 1 + l') * (\sum_x p3 x / (k + added l' x)) <= 1 -> (k + 1 + l) * (\sum_x p3 x / (k + added l x)) <= 1.
Proof.
move=> k0 l'0 ll'; have l0 := le_trans l'0 ll'; rewrite -subr_ge0 => slack; rewrite -subr_ge0.
have T0 h : 0 <= h -> 0 < k + 1 + h by move=> h0; rewrite ltr_paddr // addr_gt0.
rewrite -(pmulr_rge0 _ (T0 l l0)) -[leRHS](subrK ((k + 1 + l') * (1 - (k + 1 + l') * \sum_x p3 x / (k + added l' x)))).
rewrite slack_gap // addr_ge0 // ?(mulr_ge0 (ltW (T0 l' l'0))) // mulr_ge0 ?subr_ge0 // sumr_ge0 // => x _.
have k_ge0 := ltW k0; have u0 h : 0 <= h -> 0 <= k * p1 x + p2 x + h * p3 x.
  by move=> h0; rewrite !addr_ge0 ?mulr_ge0 ?mass_ge0.
by apply: mulr_ge0; rewrite ?invr_ge0 mulr_ge0 ?u0 ?sqr_ge0 ?mass_ge0.
Qed.

(** The signs hold on an interval of l that begins at 0: if they hold at l, they hold at every smaller l. *)
Theorem signs_interval (k l l' : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l) (l'_gt0 : 0 < l') : l' <= l ->
  signs_hold (three_dataset_form k_gt0 l_gt0 p1 p2 p3) -> signs_hold (three_dataset_form k_gt0 l'_gt0 p1 p2 p3).
Proof.
move=> ll'; rewrite !signs_overlap !overlap_harmonic !ltNge; apply: contra.
exact: slack_monotone (ltW l'_gt0) ll'.
Qed.

(** A_tt - 1 = sum_x (p_t - p_p)^2 / p_p. *)
Lemma local_self_overlap : A_tt - 1 = \sum_x (p3 x - p1 x) ^+ 2 / p1 x.
Proof.
transitivity (\sum_x (p3 x * p3 x / p1 x - p3 x - p3 x + p1 x)).
  by rewrite big_split /= !sumrB !mass_sum1 addrNK.
apply: eq_bigr => x _; case: (eqVneq (p1 x) 0) => [e|pN]; last by field_in R.
by rewrite (support e) e !(mul0r, subr0, addr0, invr0, mulr0).
Qed.

(** A_tt > 1, unless D_t is distributed as D_p. *)
Theorem local_self_overlap_gt1 : ~ (forall x, p3 x = p1 x) -> 1 < A_tt.
Proof.
move=> n31; rewrite -subr_gt0 local_self_overlap lt_neqAle eq_sym.
have nonneg x : true -> 0 <= (p3 x - p1 x) ^+ 2 / p1 x by rewrite divr_ge0 ?sqr_ge0 ?mass_ge0.
rewrite sumr_ge0 // andbT; apply/negP; rewrite psumr_eq0 // => /allP all0; apply: n31 => x.
have := all0 x (mem_index_enum x); rewrite /= mulf_eq0 sqrf_eq0 invr_eq0 subr_eq0 => /orP[/eqP //|/eqP e].
by rewrite e (support e).
Qed.

(** If A_at >= 1 and p_t differs from p_p, Theorem 4.2's signs fail for every l as soon as k is large; how large may
    depend on l. *)
Theorem signs_fail_for_every_l : 1 <= A_at -> ~ (forall x, p3 x = p1 x) ->
  forall (l : R) (l_gt0 : 0 < l), exists K, forall (k : R) (k_gt0 : 0 < k), K <= k ->
  ~~ signs_hold (three_dataset_form k_gt0 l_gt0 p1 p2 p3).
Proof.
move=> A1 n31 l l_gt0; exists (added_square l / (A_at + l * A_tt - 1 - l)) => k k_gt0.
apply: signs_above_limit; apply: (@le_lt_trans _ _ 0); first by rewrite subr_le0.
by rewrite mulr_gt0 // subr_gt0 local_self_overlap_gt1.
Qed.

(** If A_at > 1, one bound serves every l: they fail for all l > 0 once
    k >= (sum_x p_t p_a^2 / p_p^2) / (A_at - 1). *)
Theorem signs_fail_uniformly (k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l) :
  1 < A_at -> (\sum_x p3 x * (p2 x / p1 x) ^+ 2) / (A_at - 1) <= k ->
  ~~ signs_hold (three_dataset_form k_gt0 l_gt0 p1 p2 p3).
Proof.
move=> A1 large; rewrite signs_overlap overlap_harmonic -leNgt.
apply: (slack_monotone k_gt0 (lexx 0) (ltW l_gt0)); apply: harmonic_above => //.
  by rewrite mul0r subr_lt0.
rewrite mul0r addr0 subr0; have -> // : added_square 0 = \sum_x p3 x * (p2 x / p1 x) ^+ 2.
by apply: eq_bigr => x _; rewrite /added mul0r addr0.
Qed.

End OverlapLimit.

Section OverlappingParts.

Variables (R : realFieldType) (leaf part : finType) (D : part -> distribution R leaf) (a t : part).
Add Field F : (real_field_theory R).

(** The published form whose parts may overlap: A_jt = sum_x p_j p_t / p_p, D_p the average of the parts. *)
Definition part_overlap (j : part) : R := local_overlap (average D (part_gt0 a)) (D j) (D t).

(** l* = (1 - A_at) / sum_{j != t} (1 - A_jt). *)
Definition l_limit : R := (1 - part_overlap a) / \sum_(j | j != t) (1 - part_overlap j).

Lemma average_support x : average D (part_gt0 a) x = 0 -> D t x = 0.
Proof.
move/eqP; rewrite /= mulf_eq0 invr_eq0 pnatr_eq0 -[_ == 0%N]negbK -lt0n (part_gt0 a) orbF.
rewrite psumr_eq0 => [/allP/(_ t (mem_index_enum t))/eqP //|j _]; exact: mass_ge0.
Qed.

(** sum_j A_jt = m. *)
Lemma part_overlap_sum : \sum_j part_overlap j = #|part|%:R.
Proof.
have m0 : #|part|%:R != 0 :> R by rewrite pnatr_eq0 -lt0n (part_gt0 a).
transitivity (\sum_x #|part|%:R * D t x); last by rewrite -mulr_sumr mass_sum1 mulr1.
rewrite /part_overlap /local_overlap exchange_big /=; apply: eq_bigr => x _; rewrite -!mulr_suml.
case: (eqVneq (\sum_j D j x) 0) => [e|sN]; last by move: (\sum_j D j x) sN (#|part|%:R) m0 => s ? y ?; field_in R.
by rewrite e !mul0r average_support ?mulr0 //= e mul0r.
Qed.

(** A_tt - 1 = sum_{j != t} (1 - A_jt): the two closed forms of l* agree. *)
Theorem l_limit_closed_forms : l_limit = (1 - part_overlap a) / (part_overlap t - 1).
Proof.
rewrite /l_limit; congr (_ / _); have := part_overlap_sum; rewrite (bigD1 t) //= => e.
rewrite sumrB sumr_const; have -> : #|[pred j | j != t]| = #|part|.-1 by rewrite cardC1.
rewrite -subn1 mulrnBr ?(part_gt0 a) // -e.
by rewrite mulr1n; move: (part_overlap t) (\sum_(_ | _) _) => y z; field_in R.
Qed.

(** The closed form of the limit on l, for parts that overlap in any way and p_t other than p_p: for l < l* the
    theorem's signs hold for every k > 0, and for l > l* they fail for every k >= K, with
    K = (sum_x p_t z^2) / (A_at + l A_tt - 1 - l), z = (p_a + l p_t) / p_p. *)
Theorem overlapping_parts_limit (k l : R) (k_gt0 : 0 < k) (l_gt0 : 0 < l) :
  ~ (forall x, D t x = average D (part_gt0 a) x) ->
  (l < l_limit -> signs_hold (published_form D k_gt0 l_gt0 a t)) /\
  (l_limit < l ->
   added_square (average D (part_gt0 a)) (D a) (D t) l / (part_overlap a + l * part_overlap t - 1 - l) <= k ->
   ~~ signs_hold (published_form D k_gt0 l_gt0 a t)).
Proof.
move=> differ; have tt1 := local_self_overlap_gt1 average_support differ.
rewrite l_limit_closed_forms ltr_pdivl_mulr ?subr_gt0 // ltr_pdivr_mulr ?subr_gt0 //; split.
- exact: signs_below_limit average_support _ _ _ _.
- exact: signs_above_limit average_support _ _ _ _.
Qed.

(** l* <= 0, so that no l is below it, exactly where A_at >= 1. *)
Theorem l_limit_le0 : ~ (forall x, D t x = average D (part_gt0 a) x) -> (l_limit <= 0) = (1 <= part_overlap a).
Proof.
move=> differ; have tt1 := local_self_overlap_gt1 average_support differ.
by rewrite l_limit_closed_forms pmulr_lle0 ?invr_gt0 ?subr_gt0 // subr_le0.
Qed.

(** For disjoint parts l* = 1 / (m - 1). *)
Theorem l_limit_disjoint : a != t -> (forall i j, i != j -> forall x, D i x * D j x = 0) ->
  l_limit = 1 / (#|part|%:R - 1).
Proof.
move=> a_not_t disjoint; rewrite l_limit_closed_forms.
have off j : j != t -> part_overlap j = 0.
  by move=> jt; rewrite /part_overlap /local_overlap big1 // => x _; rewrite disjoint ?mul0r.
rewrite (off _ a_not_t) subr0; congr (_ / (_ - _)).
by rewrite -part_overlap_sum (bigD1 t) //= big1 ?addr0 // => j /off.
Qed.

End OverlappingParts.

Section IndependentMasses.

Variables (R : realFieldType) (U V W : finType).
Variables (f : distribution R U) (g : distribution R V) (h : distribution R W).
Hypothesis f_gt0 : forall u, 0 < f u.
Add Field F : (real_field_theory R).

Let leaf : finType := [finType of U * V * W].

(** Independent masses over the same leaves: a leaf is a triple (u, v, w), and the masses of D_1, D_2 and D_3 depend on
    u, on v and on w alone. *)
Variables p1 p2 p3 : distribution R leaf.
Hypothesis e1 : forall x, p1 x = f x.1.1 / (#|V|%:R * #|W|%:R).
Hypothesis e2 : forall x, p2 x = g x.1.2 / (#|U|%:R * #|W|%:R).
Hypothesis e3 : forall x, p3 x = h x.2 / (#|U|%:R * #|V|%:R).

Lemma leaves_neq0 (A : finType) (d : distribution R A) : #|A|%:R != 0 :> R.
Proof.
rewrite pnatr_eq0; apply/eqP => A0; have /eqP := mass_sum1 d.
by rewrite big_pred0 ?(eq_sym 0) ?oner_eq0 // => x; have := card0_eq A0 x.
Qed.

Let U0 : #|U|%:R != 0 :> R. Proof. exact: leaves_neq0 f. Qed.
Let V0 : #|V|%:R != 0 :> R. Proof. exact: leaves_neq0 g. Qed.
Let W0 : #|W|%:R != 0 :> R. Proof. exact: leaves_neq0 h. Qed.

(** A_at is the mean of 1 / Y, Y = #U f the mass of D_1 relative to its mean.  (With Pareto masses it is
    alpha^2 / (alpha^2 - 1).  That, the limit of many leaves and the leading orders are not proved here.) *)
Theorem independent_local_overlap :
  local_overlap p1 p2 p3 = (\sum_u 1 / (#|U|%:R * f u)) / #|U|%:R.
Proof.
rewrite /local_overlap.
transitivity (\sum_u \sum_v \sum_w 1 / (#|U|%:R * f u) / #|U|%:R * (g v * h w)).
  rewrite pair_bigA /= pair_bigA /=.
  apply: eq_bigr => [[[u v] w] _] /=; rewrite e1 e2 e3 /=; have fN := negbT (gt_eqF (f_gt0 u)).
  by move: (#|U|%:R) U0 (#|V|%:R) V0 (#|W|%:R) W0 => a ? b ? c ?; field_in R.
rewrite mulr_suml; apply: eq_bigr => u _.
under eq_bigr do rewrite -mulr_sumr -mulr_sumr mass_sum1 mulr1.
by rewrite -mulr_sumr mass_sum1 mulr1.
Qed.

(** Theorem 4.2 fails for independent masses: unless D_1 is uniform in u, both signs come out reversed, for every l and
    every large k; how large may depend on l. *)
Theorem independent_masses_reversed (l : R) (l_gt0 : 0 < l) : ~ (forall u, f u = 1 / #|U|%:R) ->
  exists K, forall (k : R) (k_gt0 : 0 < k), K < k ->
    let m := three_dataset_form k_gt0 l_gt0 p1 p2 p3 in 0 < dgamma m Pretrain /\ dgamma m Align < 0.
Proof.
move=> uneven.
have support x : p1 x = 0 -> p3 x = 0.
  by move/eqP; rewrite e1 !mulf_eq0 (gt_eqF (f_gt0 _)) invr_eq0 mulf_eq0 (negPf V0) (negPf W0).
suff A1 : 1 < local_overlap p1 p2 p3.
  exists ((\sum_x p2 x * p3 x / p1 x * added p1 p2 p3 l x)
          / (local_overlap p1 p2 p3 * (local_overlap p1 p2 p3 - 1))) => k k_gt0 large.
  exact: (signs_reversed support k_gt0 l_gt0 A1 large).
rewrite independent_local_overlap -subr_gt0.
have -> : (\sum_u 1 / (#|U|%:R * f u)) / #|U|%:R - 1 = \sum_u (f u - 1 / #|U|%:R) ^+ 2 / f u.
  transitivity (\sum_u (1 / (#|U|%:R * f u) / #|U|%:R - 1 / #|U|%:R - 1 / #|U|%:R + f u)).
    have one : \sum_(u : U) 1 / #|U|%:R = 1 :> R by rewrite sumr_const -mulr_natr divfK.
    by rewrite big_split /= !sumrB mass_sum1 one addrNK mulr_suml.
  apply: eq_bigr => u _; have fN := negbT (gt_eqF (f_gt0 u)).
  by move: (#|U|%:R) U0 => y ?; field_in R.
have nonneg u : true -> 0 <= (f u - 1 / #|U|%:R) ^+ 2 / f u by rewrite divr_ge0 ?sqr_ge0 ?mass_ge0.
rewrite lt_neqAle eq_sym sumr_ge0 // andbT; apply/negP; rewrite psumr_eq0 // => /allP all0; apply: uneven => u.
have := all0 u (mem_index_enum u).
by rewrite /= mulf_eq0 sqrf_eq0 invr_eq0 (gt_eqF (f_gt0 u)) orbF subr_eq0 => /eqP.
Qed.

End IndependentMasses.
