(** Real codes: the two-sided inequality for optimal prefix codes, such as Huffman's, and for any other class of codes.

    A code is the vector of its codewords' lengths, one for every leaf.  The lengths of prefix codes are the vectors of
    whole numbers that satisfy Kraft's inequality (Kraft, McMillan).  Sizes may be any numbers. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture FiniteChanges Potential.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section RealCodes.

Variables (R : realFieldType) (dataset leaf : finType) (p : dataset -> distribution R leaf).

(** g_i = sum_x p_i(x) c(x), the mean length of a block of D_i in a code of lengths c. *)
Definition code_rate (c : leaf -> R) (i : dataset) : R := \sum_x p i x * c x.

(** sum_i n_i g_i, the length of all data. *)
Definition code_length (n : dataset -> R) (c : leaf -> R) : R := \sum_i n i * code_rate c i.

(** c is optimal for the sizes n among the codes of a class. *)
Definition optimal_in (class : (leaf -> R) -> Prop) (n : dataset -> R) (c : leaf -> R) : Prop :=
  class c /\ (forall c', class c' -> code_length n c <= code_length n c').

(** sum_x 2^-c(x) <= 1. *)
Definition kraft (c : leaf -> nat) : Prop := \sum_x 2%:R^-1 ^+ c x <= 1 :> R.

(** Lengths of a prefix code: whole numbers that satisfy Kraft's inequality. *)
Definition prefix_code (c : leaf -> R) : Prop := exists2 k : leaf -> nat, kraft k & forall x, c x = (k x)%:R.

Section AnyClass.

Variable class : (leaf -> R) -> Prop.

(** The codes of the class as models: L_i(c) = g_i. *)
Definition code_loss (i : dataset) (c : {c | class c}) : R := code_rate (sval c) i.

Lemma optimal_minimiser n c (optimal : optimal_in class n c) :
  minimiser code_loss n (exist class c (proj1 optimal)).
Proof. by case=> c' in_class; apply: (proj2 optimal). Qed.

(** Let c and c' be optimal for sizes n and n' of the same datasets, among the codes of any class, and let g and g' be
    the rates: n . (g' - g) >= 0 >= n' . (g' - g). *)
Theorem optimal_codes_two_sided n n' c c' :
  optimal_in class n c -> optimal_in class n' c' ->
  0 <= \sum_i n i * (code_rate c' i - code_rate c i) /\
  \sum_i n' i * (code_rate c' i - code_rate c i) <= 0.
Proof.
by move=> optimal optimal'; apply: (two_sided_inequality (optimal_minimiser optimal) (optimal_minimiser optimal')).
Qed.

(** If only n_t grows, by delta, then 0 <= n . (g' - g) <= -delta (g'_t - g_t). *)
Theorem optimal_codes_one_dataset_grows n n' t delta c c' :
  n' t = n t + delta -> (forall i, i != t -> n' i = n i) ->
  optimal_in class n c -> optimal_in class n' c' ->
  0 <= \sum_i n i * (code_rate c' i - code_rate c i) /\
  \sum_i n i * (code_rate c' i - code_rate c i) <= - (delta * (code_rate c' t - code_rate c t)).
Proof.
move=> grown same optimal optimal'.
exact: (one_dataset_grows grown same (optimal_minimiser optimal) (optimal_minimiser optimal')).
Qed.

End AnyClass.

(** Huffman codes.  Let c and c' be optimal prefix codes for sizes n and n' of the same datasets: n . (g' - g) >= 0 >=
    n' . (g' - g).  Where several codes are optimal, it holds for any choice. *)
Theorem huffman_two_sided n n' c c' :
  optimal_in prefix_code n c -> optimal_in prefix_code n' c' ->
  0 <= \sum_i n i * (code_rate c' i - code_rate c i) /\
  \sum_i n' i * (code_rate c' i - code_rate c i) <= 0.
Proof. exact: optimal_codes_two_sided. Qed.

(** Huffman codes when only n_t grows, by delta > 0: g'_t <= g_t, and all other rates obey the inverse proportion up to
    the data added, n_t |g'_t - g_t| <= sum_(i <> t) n_i (g'_i - g_i) <= (n_t + delta) |g'_t - g_t|. *)
Theorem huffman_inverse_proportion n n' t delta c c' :
  n' t = n t + delta -> (forall i, i != t -> n' i = n i) -> 0 < delta ->
  optimal_in prefix_code n c -> optimal_in prefix_code n' c' ->
  [/\ code_rate c' t <= code_rate c t,
      n t * `|code_rate c' t - code_rate c t| <= \sum_(i | i != t) n i * (code_rate c' i - code_rate c i) &
      \sum_(i | i != t) n i * (code_rate c' i - code_rate c i) <= (n t + delta) * `|code_rate c' t - code_rate c t|].
Proof.
move=> grown same pos optimal optimal'.
have min := optimal_minimiser optimal; have min' := optimal_minimiser optimal'.
have [low high] := inverse_proportion_up_to_growth grown same min min' pos.
by split=> //; apply: (own_rate_falls grown same min min' pos).
Qed.

(** Phi_H(n), the length of all data in an optimal prefix code, is concave: for a, b >= 0, a Phi_H(n) + b Phi_H(n') <=
    Phi_H(a n + b n'). *)
Theorem huffman_length_concave (a b : R) n n' c c' c_between :
  0 <= a -> 0 <= b -> optimal_in prefix_code n c -> optimal_in prefix_code n' c' ->
  optimal_in prefix_code (fun i => a * n i + b * n' i) c_between ->
  a * code_length n c + b * code_length n' c' <= code_length (fun i => a * n i + b * n' i) c_between.
Proof.
move=> a_ge0 b_ge0 optimal optimal' between.
exact: potential_concave a_ge0 b_ge0 (euler (optimal_minimiser optimal)) (euler (optimal_minimiser optimal'))
  (euler (optimal_minimiser between)).
Qed.

(** Phi_H is homogeneous of degree 1: a code optimal for n is optimal for a n, a > 0, where Phi_H(a n) = a Phi_H(n). *)
Theorem huffman_length_homogeneous (a : R) n c :
  0 < a -> optimal_in prefix_code n c ->
  optimal_in prefix_code (fun i => a * n i) c /\ code_length (fun i => a * n i) c = a * code_length n c.
Proof.
move=> a_gt0 [in_class optimal].
have scaled c' : code_length (fun i => a * n i) c' = a * code_length n c'.
  by rewrite /code_length mulr_sumr; apply: eq_bigr => i _; rewrite mulrA.
by split=> //; split=> // c' /optimal; rewrite !scaled ler_pmul2l.
Qed.

End RealCodes.
