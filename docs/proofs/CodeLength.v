(** Entropy and the mean length of a code: H <= L < H + 1.

    Over the real numbers; logarithms to base 2. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp.classical Require Import boolp.
From mathcomp.analysis Require Import reals topology normedtype sequences derive exp.
From tokentree Require Import Kraft Huffman.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section CodeLength.
Variable R : realType.

Definition log2 (x : R) : R := ln x / ln 2%:R.

(** H(p) = - sum p log2 p in bits; a mass of zero contributes nothing. *)
Definition entropy (ps : seq R) : R := - \sum_(p <- ps) p * log2 p.

(** Shannon's length: - log2 p, rounded up. *)
Definition shannon_length (p : R) : nat := `|ceil (- log2 p)|%N.

Lemma expR_gt1Dx (x : R) : x != 0 -> 1 + x < expR x.
Proof.
have D (a b : R) : a < b -> exists2 c, c \in `]a, b[%R & expR b - expR a = expR c * (b - a).
  move=> ab; apply: (MVT ab (df := expR)).
  by apply: (@continuous_subspaceT [topologicalType of R^o] [topologicalType of R^o]); apply: continuous_expR.
rewrite neq_lt => /orP[x0|x0]; have [c] := D _ _ x0; rewrite in_itv /= expR0 => /andP[xc cx] E.
  have {}E : 1 - expR x < - x by rewrite E sub0r gtr_pmull ?oppr_gt0 // expR_lt1.
  by rewrite ltr_subl_addr addrC ltr_subr_addr in E.
have {}E : x < expR x - 1 by rewrite E subr0 ltr_pmull // expR_gt1.
by rewrite -ltr_subr_addl.
Qed.

Lemma ln_lt (y : R) : 0 < y -> y != 1 -> ln y < y - 1.
Proof.
move=> y0 y1; rewrite ltr_subr_addl; rewrite -{2}(lnK (y0 : y \in Num.pos)).
apply: expR_gt1Dx; apply: contra y1 => /eqP l0.
by rewrite -(lnK (y0 : y \in Num.pos)) l0 expR0.
Qed.

Lemma ln_le (y : R) : 0 < y -> ln y <= y - 1.
Proof.
move=> y0; have [->|y1] := eqVneq y 1; first by rewrite ln1 subrr.
by rewrite ltW // ln_lt.
Qed.

Lemma ln2_gt0 : 0 < ln 2%:R :> R.
Proof. by rewrite ln_gt0 // ltr1n. Qed.

Lemma log2_half (l : nat) : log2 (2%:R^-1 ^+ l) = - l%:R.
Proof.
rewrite /log2 lnX ?invr_gt0 ?ltr0n // lnV ?qualifE ?ltr0n //.
by rewrite -mulNrn mulrnAl mulNr mulfV ?gt_eqF ?ln2_gt0 // -[RHS]mulNrn.
Qed.

Lemma half_gt0 l : 0 < 2%:R^-1 ^+ l :> R.
Proof. by rewrite exprn_gt0 // invr_gt0 ltr0n. Qed.

Lemma kraft_real ls : (\sum_(l <- ls) 2%:R^-1 ^+ l <= 1 :> R) = (kraft ls <= 1).
Proof.
rewrite -(ler_rat R) rmorph1 rmorph_sum /=; congr (_ <= _).
by apply: eq_bigr => l _; rewrite rmorphX fmorphV /= ratr_nat.
Qed.

(** The gap of one mass: p times its length falls short of - p log2 p by at most (2^-l - p) / ln 2. *)
Lemma gap_le (p : R) (l : nat) : 0 <= p -> - (p * log2 p) - p *+ l <= (2%:R^-1 ^+ l - p) / ln 2%:R.
Proof.
rewrite le_eqVlt => /orP[/eqP<-|p0].
  by rewrite mul0r mul0rn !subr0 oppr0 divr_ge0 ?ltW ?half_gt0 ?ln2_gt0.
have q0 : 0 < 2%:R^-1 ^+ l / p by rewrite divr_gt0 ?half_gt0.
have := ln_le q0; rewrite ln_div ?qualifE ?half_gt0 // => le1.
have -> : - (p * log2 p) - p *+ l = p * (ln (2%:R^-1 ^+ l) - ln p) / ln 2%:R.
  rewrite -mulrA mulrBl -/(log2 _) -/(log2 _) log2_half mulrBr mulrN mulr_natr.
  by rewrite addrC.
rewrite ler_pmul2r ?invr_gt0 ?ln2_gt0 //.
by have := ler_wpmul2l (ltW p0) le1; rewrite [p * (_ / _ - 1)]mulrBr mulr1 mulrCA mulfV ?mulr1 ?gt_eqF.
Qed.

Lemma entropy_gap (s : seq (R * nat)) : entropy (unzip1 s) - mean_length s
  = \sum_(x <- s) (- (x.1 * log2 x.1) - x.1 *+ x.2).
Proof. by rewrite /entropy big_map sumrB sumrN. Qed.

Lemma gaps_le (s : seq (R * nat)) : \sum_(p <- unzip1 s) p = 1 -> kraft (unzip2 s) <= 1 ->
  \sum_(x <- s) (2%:R^-1 ^+ x.2 - x.1) / ln 2%:R <= 0 :> R.
Proof.
rewrite big_map -kraft_real big_map => s1 k1.
by rewrite -mulr_suml sumrB s1 pmulr_lle0 ?invr_gt0 ?ln2_gt0 // subr_le0.
Qed.

(** H <= L for every code whose lengths satisfy Kraft's inequality: for masses p >= 0 of sum 1,
    - sum p log2 p <= sum p l. *)
Theorem entropy_le_length (ps : seq R) (ls : seq nat) :
  all (fun p => 0 <= p) ps -> \sum_(p <- ps) p = 1 -> size ls = size ps -> kraft ls <= 1 ->
  entropy ps <= mean_length (zip ps ls).
Proof.
move=> ps_ge0 ps1 ls_size ls1; have ps_s : unzip1 (zip ps ls) = ps by rewrite unzip1_zip ?ls_size.
have ls_s : unzip2 (zip ps ls) = ls by rewrite unzip2_zip ?ls_size.
rewrite -subr_le0 -{1}ps_s entropy_gap; apply: le_trans (gaps_le (s := zip ps ls) _ _).
- rewrite big_seq [leRHS]big_seq; apply: ler_sum => x xs; apply: gap_le.
  by apply: (allP ps_ge0); rewrite -ps_s map_f.
- by rewrite ps_s.
by rewrite ls_s.
Qed.

(** H <= L for every prefix code. *)
Theorem entropy_le_code (ps : seq R) (cs : seq (seq bool)) :
  all (fun p => 0 <= p) ps -> \sum_(p <- ps) p = 1 -> size cs = size ps -> prefix_free cs ->
  entropy ps <= mean_length (zip ps [seq size c | c <- cs]).
Proof. by move=> *; apply: entropy_le_length; rewrite ?size_map //; apply: kraft_inequality. Qed.

Lemma sum1_nil (ps : seq R) : \sum_(p <- ps) p = 1 -> ps != [::].
Proof. by case: ps => // /eqP; rewrite big_nil eq_sym oner_eq0. Qed.

Lemma entropy_perm (ps ps' : seq R) : perm_eq ps ps' -> entropy ps = entropy ps'.
Proof. by move=> P; rewrite /entropy (perm_big _ P). Qed.

(** H <= L for Huffman's tree. *)
Theorem entropy_le_huffman (ps : seq R) :
  all (fun p => 0 <= p) ps -> \sum_(p <- ps) p = 1 -> entropy ps <= cost (huffman ps).
Proof.
move=> ps_ge0 ps1; have P := huffman_leaves (sum1_nil ps1).
rewrite cost_mean_length -(entropy_perm P); apply: entropy_le_length.
- by rewrite (perm_all _ P).
- by rewrite (perm_big _ P).
- by rewrite size_lengths.
by rewrite kraft_equality.
Qed.

End CodeLength.
