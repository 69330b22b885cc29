(** The response of a mixture of rational numbers, computed: a bridge from the theorems to numbers.

    Sums over finite types do not compute, and rationals of mathcomp count in unary.  So the response is
    defined a second time, on lists of binary rationals of Coq, and proved to be the response of Mixture.v in
    every ordered field. *)

From Coq Require Import ZArith QArith InitialRing.
From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture FieldTactic.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.
Delimit Scope Q_scope with bin.

(** sum_(i < k) f i. *)
Definition Qsum (k : nat) (f : nat -> Q) : Q := foldr (fun i s => Qred (f i + s)%bin) 0%bin (iota 0 k).

Section Computed.

(** N datasets of sizes n_i over M leaves, p_i(x) = rows[i][x]. *)
Variables (N M : nat) (sizes : seq Q) (rows : seq (seq Q)).

Definition entry (A : seq (seq Q)) (i x : nat) : Q := nth 0%bin (nth [::] A i) x.

Definition Qtotal : Q := Qsum N (nth 0%bin sizes).
Definition Qjoint (x : nat) : Q := Qsum N (fun i => nth 0 sizes i / Qtotal * entry rows i x)%bin.
Definition Qoverlap (q : nat -> Q) (i t : nat) : Q :=
  Qsum M (fun x => entry rows i x * entry rows t x / q x)%bin.

(** R_it = (1 - S_it) / T.  The joint model is computed once for all entries. *)
Definition Qresponse (i t : nat) : Q := ((1 - Qoverlap Qjoint i t) / Qtotal)%bin.

(** Sizes are positive; masses are >= 0 and sum to 1. *)
Definition is_mixture : bool :=
  all (fun i => Z.ltb Z0 (Qnum (nth 0%bin sizes i))) (iota 0 N) &&
  all (fun i => all (fun x => Z.leb Z0 (Qnum (entry rows i x))) (iota 0 M)
                && Qeq_bool (Qsum M (entry rows i)) 1) (iota 0 N).

(** [given] is the matrix of responses. *)
Definition is_response (given : seq (seq Q)) : bool :=
  all (fun i => all (fun t => Qeq_bool (Qresponse i t) (entry given i t)) (iota 0 N)) (iota 0 N).

End Computed.

Section Field.
Variable R : realFieldType.

(** The integer z and the rational number x as elements of the field. *)
Definition of_Z : Z -> R := gen_phiZ (fzero R) (fone R) (@fadd R) (@fmul R) (@fopp R).
Definition of_Q (x : Q) : R := of_Z (Qnum x) / of_Z (Zpos (Qden x)).

Lemma of_Z_morph : ring_morph (fzero R) (fone R) (@fadd R) (@fmul R) (@fsub R) (@fopp R) eq
  Z0 (Zpos xH) Z.add Z.mul Z.sub Z.opp Zeq_bool of_Z.
Proof.
apply: gen_phiZ_morph; last exact: (F_R (real_field_theory R)).
- exact: Eqsth.
- exact: Eq_ext.
Qed.

Lemma of_ZD x y : of_Z (Z.add x y) = of_Z x + of_Z y. Proof. exact: (morph_add of_Z_morph). Qed.
Lemma of_ZM x y : of_Z (Z.mul x y) = of_Z x * of_Z y. Proof. exact: (morph_mul of_Z_morph). Qed.
Lemma of_ZN x : of_Z (Z.opp x) = - of_Z x. Proof. exact: (morph_opp of_Z_morph). Qed.

Lemma of_Z_gt0 k : 0 < of_Z (Zpos k).
Proof.
elim/Pos.peano_ind: k => [|k IH]; first exact: ltr01.
by rewrite Pos2Z.inj_succ -Z.add_1_r of_ZD addr_gt0 ?ltr01.
Qed.

Lemma of_Z_neq0 k : of_Z (Zpos k) != 0. Proof. by rewrite gt_eqF ?of_Z_gt0. Qed.

(** Equal rational numbers are one element of the field. *)
Lemma of_Q_eq x y : Qeq x y -> of_Q x = of_Q y.
Proof.
move=> /(congr1 of_Z); rewrite !of_ZM /of_Q => E.
by apply/eqP; rewrite eqr_div ?of_Z_neq0 // E.
Qed.

Lemma of_Q0 : of_Q 0%bin = 0. Proof. exact: mul0r. Qed.
Lemma of_Q1 : of_Q 1%bin = 1. Proof. exact: divr1. Qed.

Lemma of_QD x y : of_Q (x + y)%bin = of_Q x + of_Q y.
Proof.
rewrite /of_Q addf_div ?of_Z_neq0 // -!of_ZM -of_ZD.
by congr (_ / _).
Qed.

Lemma of_QM x y : of_Q (x * y)%bin = of_Q x * of_Q y.
Proof. by rewrite /of_Q mulf_div -!of_ZM. Qed.

Lemma of_QN x : of_Q (- x)%bin = - of_Q x.
Proof. by rewrite /of_Q -mulNr -of_ZN. Qed.

Lemma of_QV x : of_Q (/ x)%bin = (of_Q x)^-1.
Proof.
case: x => [[|a|a] b]; rewrite /of_Q /=; first by rewrite !mul0r invr0.
  by rewrite invf_div.
change (of_Z (Z.opp (Zpos b)) / of_Z (Zpos a) = (of_Z (Z.opp (Zpos a)) / of_Z (Zpos b))^-1).
by rewrite !of_ZN !mulNr invrN invf_div.
Qed.

Lemma of_Q_sum k f : of_Q (Qsum k f) = \sum_(i < k) of_Q (f i).
Proof.
rewrite /Qsum -(big_mkord xpredT (fun i => of_Q (f i))) /index_iota subn0.
elim: (iota 0 k) => [|i s IH]; first by rewrite big_nil -of_Q0.
rewrite big_cons -IH -of_QD; exact/of_Q_eq/Qred_correct.
Qed.

Lemma of_Q_ge0 x : Z.leb Z0 (Qnum x) -> 0 <= of_Q x.
Proof.
case: x => [[|a|//] b] _; first by rewrite /of_Q mul0r.
by rewrite divr_ge0 // ltW ?of_Z_gt0.
Qed.

Lemma of_Q_gt0 x : Z.ltb Z0 (Qnum x) -> 0 < of_Q x.
Proof. by case: x => [[|a|]//b] _; rewrite divr_gt0 ?of_Z_gt0. Qed.

Section Mixtures.
Variables (N M : nat) (sizes : seq Q) (rows : seq (seq Q)).

(** The mixture m has these sizes and masses. *)
Definition has_numbers (m : mixture R [finType of 'I_N] [finType of 'I_M]) : Prop :=
  (forall i, n m i = of_Q (nth 0%bin sizes i)) /\ (forall i x, p m i x = of_Q (entry rows i x)).

(** What is computed is the response. *)
Theorem response_computed m (i t : 'I_N) :
  has_numbers m -> response m i t = of_Q (Qresponse N M sizes rows i t).
Proof.
case=> mn mp.
have T : total_size m = of_Q (Qtotal N sizes).
  by rewrite /Qtotal of_Q_sum; apply: eq_bigr => j _; rewrite mn.
have q x : joint m x = of_Q (Qjoint N sizes rows x).
  by rewrite /Qjoint of_Q_sum; apply: eq_bigr => j _; rewrite !of_QM of_QV -T -mn -mp.
rewrite /response /Qresponse of_QM of_QV -T of_QD of_Q1 of_QN; congr ((1 - _) / _).
by rewrite /Qoverlap of_Q_sum; apply: eq_bigr => x _; rewrite !of_QM of_QV -q -!mp.
Qed.

(** Numbers that are those of a mixture. *)
Theorem mixture_of_numbers : is_mixture N M sizes rows -> exists m, has_numbers m.
Proof.
case/andP=> /allP n0 /allP pP.
have iP (i : 'I_N) : nat_of_ord i \in iota 0 N by rewrite mem_iota /=.
have p0 i x : 0 <= of_Q (entry rows (i : 'I_N) (x : 'I_M)).
  have /andP[/allP r0 _] := pP _ (iP i).
  by apply/of_Q_ge0/r0; rewrite mem_iota /=.
have p1 i : \sum_x of_Q (entry rows (i : 'I_N) (x : 'I_M)) = 1.
  have /andP[_ /Qeq_bool_eq r1] := pP _ (iP i).
  by rewrite -(of_Q_sum M (entry rows i)) (of_Q_eq r1) of_Q1.
by exists (Mixture (fun i => Distribution (p0 i) (p1 i)) (fun i => of_Q_gt0 (n0 _ (iP i)))).
Qed.

End Mixtures.
End Field.

(** N datasets of these sizes and rows over M leaves are a mixture, and in every ordered field its responses
    are those given. *)
Definition responses_are (N M : nat) (sizes : seq Q) (rows given : seq (seq Q)) : Prop :=
  forall R : realFieldType, (exists m, @has_numbers R N M sizes rows m) /\
    forall m, @has_numbers R N M sizes rows m -> forall i t, response m i t = of_Q R (entry given i t).

(** Decided by computation. *)
Theorem responses_decided N M sizes rows given :
  is_mixture N M sizes rows && is_response N M sizes rows given -> responses_are N M sizes rows given.
Proof.
case/andP=> mixed /allP given_are R; split=> [|m mP i t]; first exact: mixture_of_numbers.
have iP (j : 'I_N) : nat_of_ord j \in iota 0 N by rewrite mem_iota /=.
rewrite (response_computed i t mP); apply/of_Q_eq/Qeq_bool_eq.
exact: (allP (given_are _ (iP i)) _ (iP t)).
Qed.
