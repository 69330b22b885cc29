(** Entropy and the mean length of a code: H <= L < H + 1.

    Over the real numbers; logarithms to base 2. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp.classical Require Import boolp.
From mathcomp.analysis Require Import reals topology normedtype sequences derive exp.
From tokentree Require Import Kraft Huffman.
From tokentree Require Rates.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** The list ps holds the leaves' masses, and [mean_length (zip ps ls)] is L for codewords of lengths ls. *)
Section CodeLength.
Variable R : realType.

(** The logarithm to base 2; log2 0 = 0 here. *)
Definition log2 (x : R) : R := ln x / ln 2%:R.

(** H(p) = - sum p log2 p in bits; a mass of zero contributes nothing. *)
Definition entropy (ps : seq R) : R := - \sum_(p <- ps) p * log2 p.

(** Shannon's length: - log2 p, rounded up. *)
Definition shannon_length (p : R) : nat := `|ceil (- log2 p)|%N.

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

Lemma gapE (p : R) (l : nat) : 0 < p ->
  - (p * log2 p) - p *+ l = p * ln (2%:R^-1 ^+ l / p) / ln 2%:R.
Proof.
move=> p0; rewrite ln_div ?qualifE ?half_gt0 // -mulrA mulrBl -/(log2 _) -/(log2 _) log2_half.
by rewrite mulrBr mulrN mulr_natr addrC.
Qed.

Lemma gap_lt (p : R) (l : nat) : 0 < p -> p != 2%:R^-1 ^+ l ->
  - (p * log2 p) - p *+ l < (2%:R^-1 ^+ l - p) / ln 2%:R.
Proof.
move=> p0 pNq; rewrite gapE // ltr_pmul2r ?invr_gt0 ?ln2_gt0 //.
have q0 : 0 < 2%:R^-1 ^+ l / p by rewrite divr_gt0 ?half_gt0.
have q1 : 2%:R^-1 ^+ l / p != 1.
  by apply: contra pNq => /eqP/divr1_eq->.
by rewrite -ltr_pdivl_mull // [p^-1 * _]mulrC mulrBl divff ?gt_eqF // Rates.ln_lt_sub1.
Qed.

(** The gap of one mass: p times its length falls short of - p log2 p by at most (2^-l - p) / ln 2. *)
Lemma gap_le (p : R) (l : nat) : 0 <= p -> - (p * log2 p) - p *+ l <= (2%:R^-1 ^+ l - p) / ln 2%:R.
Proof.
rewrite le_eqVlt => /orP[/eqP<-|p0].
  by rewrite mul0r mul0rn !subr0 oppr0 divr_ge0 ?ltW ?half_gt0 ?ln2_gt0.
have [Dp|pNq] := eqVneq p (2%:R^-1 ^+ l); last by rewrite ltW ?gap_lt.
by rewrite gapE // -Dp divff ?gt_eqF // ln1 mulr0 subrr mul0r.
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

(** H <= L for every uniquely decodable code. *)
Theorem entropy_le_decodable (ps : seq R) (cs : seq (seq bool)) :
  all (fun p => 0 <= p) ps -> \sum_(p <- ps) p = 1 -> size cs = size ps -> uniquely_decodable cs ->
  entropy ps <= mean_length (zip ps [seq size c | c <- cs]).
Proof. by move=> *; apply: entropy_le_length; rewrite ?size_map //; apply: mcmillan. Qed.

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

Lemma masses_le1 (ps : seq R) : all (fun p => 0 < p) ps -> \sum_(p <- ps) p = 1 ->
  {in ps, forall p, 0 < p <= 1}.
Proof.
move=> /allP ps0 ps1 p pps; rewrite ps0 //= -ps1 (big_rem _ pps) /= ler_addl big_seq.
by apply: sumr_ge0 => q /mem_rem/ps0/ltW.
Qed.

(** Shannon's length of p is at least - log2 p, and less than - log2 p + 1. *)
Theorem shannon_length_bounds (p : R) : 0 < p <= 1 ->
  - log2 p <= (shannon_length p)%:R < - log2 p + 1.
Proof.
case/andP=> p0 p1; have l0 : 0 <= - log2 p.
  rewrite -mulNr -lnV ?qualifE // divr_ge0 ?(ltW ln2_gt0) // ln_ge0 //.
  by rewrite invf_ge1.
have -> : (shannon_length p)%:R = (ceil (- log2 p))%:~R :> R.
  by rewrite /shannon_length natr_absz ger0_norm // ceil_ge0.
rewrite ceil_ge -ltr_subl_addr -[X in _ - X]mulr1z -rmorphB ceil_lt_int.
by rewrite ltr_subl_addr ltr_addl.
Qed.

(** Shannon's lengths satisfy Kraft's inequality. *)
Theorem shannon_kraft (ps : seq R) : all (fun p => 0 < p) ps -> \sum_(p <- ps) p = 1 ->
  kraft [seq shannon_length p | p <- ps] <= 1.
Proof.
move=> ps0 ps1; rewrite -kraft_real big_map -[leRHS]ps1 big_seq [leRHS]big_seq.
apply: ler_sum => p /(masses_le1 ps0 ps1) p01; have /andP[p0 _] := p01.
have /andP[+ _] := shannon_length_bounds p01.
rewrite ler_oppl -log2_half ler_pmul2r ?invr_gt0 ?ln2_gt0 //.
by rewrite ler_ln ?qualifE ?half_gt0.
Qed.

(** L < H + 1: for masses p > 0 of sum 1, Huffman's tree costs less than the entropy plus one bit. *)
Theorem huffman_lt_entropy (ps : seq R) :
  all (fun p => 0 < p) ps -> \sum_(p <- ps) p = 1 -> cost (huffman ps) < entropy ps + 1.
Proof.
move=> ps0 ps1; apply: le_lt_trans (huffman_optimal (sum1_nil ps1) _ _ (shannon_kraft ps0 ps1)) _.
- by apply: sub_all ps0 => p /ltW.
- by rewrite size_map.
rewrite -[X in _ + X]ps1 /entropy -sumrN -big_split /= /mean_length.
have lt p : p \in ps -> p *+ shannon_length p < - (p * log2 p) + p.
  move=> pps; have /andP[p0 p1] := masses_le1 ps0 ps1 pps.
  have /andP[_] := shannon_length_bounds (masses_le1 ps0 ps1 pps).
  by rewrite -(ltr_pmul2l p0) mulr_natr mulrDr mulr1 mulrN.
rewrite (_ : zip _ _ = [seq (p, shannon_length p) | p <- ps]); last by elim: (ps) => //= p s ->.
rewrite big_map /=; case: ps lt {ps0} ps1 => [_|p ps lt _]; first by move=> /sum1_nil.
rewrite !big_cons; apply: ltr_le_add; first by apply/lt/mem_head.
by rewrite big_seq [leRHS]big_seq; apply: ler_sum => q qps; apply/ltW/lt; rewrite inE qps orbT.
Qed.

(** L = H, for masses p > 0 of sum 1, exactly when every mass is a power of 1/2. *)
Theorem huffman_eq_entropy (ps : seq R) :
  all (fun p => 0 < p) ps -> \sum_(p <- ps) p = 1 ->
  cost (huffman ps) = entropy ps <-> {in ps, forall p, exists l : nat, p = 2%:R^-1 ^+ l}.
Proof.
move=> ps0 ps1; have ps_ge0 : all (fun p => 0 <= p) ps by apply: sub_all ps0 => p /ltW.
have P := huffman_leaves (sum1_nil ps1); split=> [LH|pow].
  set s := zip (leaves (huffman ps)) (lengths (huffman ps)).
  have s_ps : unzip1 s = leaves (huffman ps) by rewrite unzip1_zip ?size_lengths.
  have s_ls : unzip2 s = lengths (huffman ps) by rewrite unzip2_zip ?size_lengths.
  have s0 x : x \in s -> 0 < x.1.
    by move=> xs; apply: (allP ps0); rewrite -(perm_mem P) -s_ps map_f.
  have gap0 : \sum_(x <- s) (- (x.1 * log2 x.1) - x.1 *+ x.2) = 0.
    by rewrite -entropy_gap s_ps (entropy_perm P) -cost_mean_length LH subrr.
  have slack x : x \in s ->
      0 <= (2%:R^-1 ^+ x.2 - x.1) / ln 2%:R - (- (x.1 * log2 x.1) - x.1 *+ x.2).
    by move=> /s0/ltW x0; rewrite subr_ge0 gap_le.
  have : \sum_(x <- s) ((2%:R^-1 ^+ x.2 - x.1) / ln 2%:R - (- (x.1 * log2 x.1) - x.1 *+ x.2)) == 0.
    rewrite eq_le; apply/andP; split; last by rewrite big_seq; apply: sumr_ge0.
    rewrite sumrB gap0 subr0; apply: gaps_le; first by rewrite s_ps (perm_big _ P).
    by rewrite s_ls kraft_equality.
  rewrite big_seq psumr_eq0 // => /allP tight p; rewrite -(perm_mem P) -s_ps => /mapP[x xs ->].
  exists x.2; apply/eqP; have := tight x xs; rewrite xs subr_eq0; apply: contraLR => neq.
  by rewrite gt_eqF // gap_lt // s0.
have [ls Dps] : exists ls, ps = [seq 2%:R^-1 ^+ l | l <- ls].
  elim: (ps) pow => [|p s IH] pow; first by exists [::].
  have [l ->] := pow p (mem_head _ _).
  have [|ls ->] := IH; last by exists (l :: ls).
  by move=> q qs; apply: pow; rewrite inE qs orbT.
apply/le_anti; rewrite entropy_le_huffman // andbT.
have ls1 : kraft ls <= 1 by rewrite -kraft_real -[leRHS]ps1 Dps big_map.
apply: le_trans (huffman_optimal (sum1_nil ps1) ps_ge0 _ ls1) _; first by rewrite Dps size_map.
rewrite Dps /entropy -sumrN big_map le_eqVlt; apply/orP; left; apply/eqP.
rewrite (_ : zip _ _ = [seq (2%:R^-1 ^+ l, l) | l <- ls]); last by elim: (ls) => //= l s ->.
by rewrite /mean_length big_map; apply: eq_bigr => l _; rewrite log2_half mulrN opprK mulr_natr.
Qed.

(** What remains of Theorem 3.4: for masses p > 0 of sum 1, the printed length of a block, H rounded up, is less than
    one bit from L. *)
Theorem printed_length (ps : seq R) : all (fun p => 0 < p) ps -> \sum_(p <- ps) p = 1 ->
  `|cost (huffman ps) - (ceil (entropy ps))%:~R| < 1.
Proof.
move=> ps0 ps1; have lt := huffman_lt_entropy ps0 ps1.
have le : entropy ps <= cost (huffman ps).
  by apply: entropy_le_huffman ps1; apply: sub_all ps0 => p /ltW.
have ge := ceil_ge (entropy ps).
have cl : (ceil (entropy ps))%:~R - 1 < entropy ps.
  by rewrite -[X in _ - X]mulr1z -rmorphB ceil_lt_int ltr_subl_addr ltr_addl.
rewrite ltr_norml; apply/andP; split.
  by rewrite ltr_subr_addl -ltr_subr_addr opprK -ltr_subl_addr (lt_le_trans cl).
by rewrite ltr_subl_addl; apply: lt_le_trans lt _; rewrite ler_add2r.
Qed.

End CodeLength.
