(** The optimal codes of RealCodes are Huffman's: an optimal code exists, and what it costs.

    A code is a length for every joint leaf; the lengths satisfy Kraft's inequality, so by its converse a prefix
    code has them, and by McMillan's theorem every uniquely decodable code is among them. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture Kraft Huffman.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section HuffmanRates.
Variables (R : realFieldType) (dataset leaf : finType).
(** The datasets' distributions p_i over the joint leaves. *)
Variable p : dataset -> distribution R leaf.

(** The lengths c are those of a code. *)
Definition is_code (c : leaf -> nat) : Prop := kraft [seq c x | x <- enum leaf] <= 1.

(** g_i = sum_x p_i(x) c(x), in bits per block. *)
Definition code_rate (c : leaf -> nat) (i : dataset) : R := \sum_x p i x *+ c x.

(** The joint length n . g = sum_i n_i g_i. *)
Definition joint_length (n : dataset -> R) (c : leaf -> nat) : R := \sum_i n i * code_rate c i.

(** The code c is optimal for the sizes n. *)
Definition optimal (n : dataset -> R) (c : leaf -> nat) : Prop :=
  is_code c /\ forall c', is_code c' -> joint_length n c <= joint_length n c'.

Lemma zip_perm (ws : seq R) (s : seq (R * nat)) : perm_eq ws (unzip1 s) ->
  exists2 ls, size ls = size ws & perm_eq (zip ws ls) s.
Proof.
elim: ws s => [|w ws IH] s ws_s.
  by exists [::] => //; case: s ws_s => // x s /perm_size.
have /mapP[[w' l] xs /= Dw] : w \in unzip1 s by rewrite -(perm_mem ws_s) mem_head.
rewrite -{w'}Dw in xs; have P := perm_to_rem xs; have [|ls ls_size ls_s] := IH (rem (w, l) s).
  by rewrite -(perm_cons w) (perm_trans ws_s) //; apply: (perm_map fst P).
by exists (l :: ls); rewrite /= ?ls_size // perm_sym (permPl P) perm_cons perm_sym.
Qed.

Lemma joint_length_weights n c : joint_length n c
  = mean_length (zip [seq \sum_i n i * p i x | x <- enum leaf] [seq c x | x <- enum leaf]).
Proof.
rewrite (_ : zip _ _ = [seq (\sum_i n i * p i x, c x) | x <- enum leaf]); last first.
  by elim: (enum leaf) => //= x s ->.
rewrite /mean_length big_map big_enum /joint_length.
under eq_bigr do rewrite mulr_sumr; rewrite exchange_big; apply: eq_bigr => x _ /=.
by rewrite -sumrMnl; apply: eq_bigr => i _; rewrite mulrnAr.
Qed.

(** An optimal code exists, and its joint length is the cost of Huffman's tree of the joint weights
    sum_i n_i p_i(x): Phi_H(n) = cost(huffman), for sizes n_i >= 0 and at least one leaf. *)
Theorem huffman_joint_length (n : dataset -> R) : (0 < #|leaf|)%N -> (forall i, 0 <= n i) ->
  exists2 c, optimal n c
  & joint_length n c = cost (huffman [seq \sum_i n i * p i x | x <- enum leaf]).
Proof.
move=> leaf0 n0; set ws := map _ _.
have ws_n : ws != [::] by rewrite -size_eq0 size_map -cardE -lt0n.
have ws0 : all (fun w => 0 <= w) ws.
  by rewrite all_map; apply/allP => x _; apply: sumr_ge0 => i _; rewrite mulr_ge0 ?mass_ge0.
set t := huffman ws; have tE := huffman_leaves ws_n.
have [|ls ls_size lsE] := @zip_perm ws (zip (leaves t) (lengths t)).
  by rewrite unzip1_zip ?size_lengths // perm_sym.
pose c x := nth 0%N ls (index x (enum leaf)).
have cE : [seq c x | x <- enum leaf] = ls.
  apply: (@eq_from_nth _ 0%N) => [|k]; rewrite size_map; first by rewrite ls_size /ws !size_map.
  move=> kl; have /card_gt0P[x0 _] := leaf0.
  by rewrite (nth_map x0) // /c index_uniq // enum_uniq.
have cost_c : joint_length n c = cost t.
  by rewrite joint_length_weights cE cost_mean_length; apply: mean_length_perm.
have c_code : is_code c.
  have := perm_map snd lsE; rewrite -!/unzip2 !unzip2_zip ?ls_size ?size_lengths // => P.
  by rewrite /is_code cE (kraft_perm P) kraft_equality.
exists c => //; split=> // c' c'K; rewrite cost_c joint_length_weights.
by apply: huffman_optimal; rewrite // !size_map.
Qed.

End HuffmanRates.
