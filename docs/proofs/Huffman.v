(** Huffman's construction is optimal.

    Weights are elements >= 0 of any ordered domain: counts, rational or real probabilities.  Weights may be
    zero.  The construction computes. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Kraft.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Huffman.
Variable R : realDomainType.

(** The weight of a tree is the sum of its leaves' weights. *)
Fixpoint weight_of (t : btree R) : R :=
  match t with Leaf w => w | Node l r => weight_of l + weight_of r end.

(** The cost of a tree: the sum of the weights of its inner nodes, that is of all merged weights. *)
Fixpoint cost (t : btree R) : R :=
  match t with Leaf _ => 0 | Node l r => cost l + cost r + (weight_of l + weight_of r) end.

(** Insert a tree into a list of trees in order of weight. *)
Fixpoint insert (t : btree R) (f : seq (btree R)) : seq (btree R) :=
  match f with
  | [::] => [:: t]
  | u :: f' => if weight_of t <= weight_of u then t :: f else u :: insert t f'
  end.

(** Merge the two lightest trees, the first two, k times or until one is left. *)
Fixpoint merge_lightest (k : nat) (f : seq (btree R)) : seq (btree R) :=
  match k, f with
  | k'.+1, t :: u :: f' => merge_lightest k' (insert (Node t u) f')
  | _, _ => f
  end.

(** Huffman's tree of the weights w_1, ..., w_M, M > 0. *)
Definition huffman (ws : seq R) : btree R :=
  head (Leaf 0) (merge_lightest (size ws) (foldr insert [::] (map (@Leaf R) ws))).

(** sum w l for weights w with codewords of lengths l. *)
Definition mean_length (s : seq (R * nat)) : R := \sum_(x <- s) x.1 *+ x.2.

Lemma mean_length_cons x s : mean_length (x :: s) = x.1 *+ x.2 + mean_length s.
Proof. exact: big_cons. Qed.

Lemma mean_length_perm s s' : perm_eq s s' -> mean_length s = mean_length s'.
Proof. exact: perm_big. Qed.

Lemma mean_length_ge0 s : all (fun w => 0 <= w) (unzip1 s) -> 0 <= mean_length s.
Proof.
rewrite all_map => /allP s_ge0; rewrite /mean_length big_seq; apply: sumr_ge0 => x xs.
by apply/mulrn_wge0/(s_ge0 x xs).
Qed.

Lemma weight_of_leaves t : weight_of t = \sum_(w <- leaves t) w.
Proof.
elim: t => [w|l IHl r IHr]; first by rewrite /leaves /= big_seq1.
by rewrite leaves_node big_cat /= IHl IHr.
Qed.

Lemma mean_length_succ ws ls : size ws = size ls ->
  mean_length (zip ws (map succn ls)) = mean_length (zip ws ls) + \sum_(w <- ws) w.
Proof.
elim: ws ls => [|w ws IH] [|l ls] //=; first by rewrite /mean_length !big_nil addr0.
by case=> /IH E; rewrite !mean_length_cons E big_cons /= mulrSr addrACA.
Qed.

Lemma size_lengths A (t : btree A) : size (leaves t) = size (lengths t).
Proof. by rewrite !size_map. Qed.

(** The sum of merged weights is the sum over leaves of weight times depth. *)
Theorem cost_mean_length (t : btree R) : cost t = mean_length (zip (leaves t) (lengths t)).
Proof.
elim: t => [w|l IHl r IHr]; first by rewrite /mean_length big_seq1 mulr0n.
rewrite leaves_node lengths_node zip_cat ?size_map // /mean_length big_cat -/(mean_length _).
rewrite -/(mean_length _) !mean_length_succ ?size_lengths // -IHl -IHr -!weight_of_leaves.
by rewrite /= addrACA.
Qed.

(** Moving a lightest weight to a longest codeword shortens. *)
Lemma bring (x a : R) (m : nat) (s0 : seq (R * nat)) : let s := (x, m) :: s0 in
  all (fun y => y.2 <= m)%N s0 -> a \in unzip1 s -> all (fun w => a <= w) (unzip1 s) ->
  exists s', [/\ perm_eq (a :: unzip1 s') (unzip1 s), perm_eq (unzip2 s') (unzip2 s0)
    & a *+ m + mean_length s' <= mean_length s].
Proof.
move=> s s0m; rewrite inE => /orP[/eqP-> _|as0 le_a].
  by exists s0; rewrite /s /= mean_length_cons.
case/mapP: as0 => -[a' d] ys0 /= Da; rewrite -{}Da in ys0.
have P := perm_to_rem ys0; set s1 := rem _ s0 in P.
exists ((x, d) :: s1); split=> /=.
- rewrite (perm_catCA [:: a] [:: x] (unzip1 s1)) /= perm_cons perm_sym.
  exact: (perm_map fst P).
- by rewrite perm_sym; apply: (perm_map snd P).
rewrite /s [X in _ <= X]mean_length_cons (mean_length_perm P) !mean_length_cons /= !addrA ler_add2r.
have dm : (d <= m)%N := allP s0m _ ys0.
have ax : a <= x by case/andP: le_a.
rewrite -(subnK dm) !mulrnDr -!addrA ler_add ?ler_muln2r ?ax ?orbT //.
by rewrite [x *+ d + _]addrC.
Qed.

(** Lengths that satisfy Kraft's inequality: a single longest one may be one less. *)
Lemma kraft_shorten m ls : all (fun l => l <= m)%N ls ->
  kraft (m.+1 :: ls) <= 1 -> kraft (m :: ls) <= 1.
Proof.
move=> lsm; rewrite (@kraft_nat m.+1) /= ?leqnn; last by apply: sub_all lsm => l /leqW.
rewrite (@kraft_nat m) /= ?leqnn // !big_cons !subnn expn0 expnS mul2n -addnn.
rewrite (eq_big_seq (fun l => 2 * 2 ^ (m - l))%N) => [|l /(allP lsm) lm]; last by rewrite subSn // expnS.
rewrite -big_distrr /= mul2n -addnn => le1; rewrite add1n ltnNge; apply/negP => le2.
by have := leq_add le2 le2; rewrite leqNgt -ltnS -add1n ltnS le1.
Qed.

Lemma kraft_00 ls : kraft (0%N :: 0%N :: ls) <= 1 = false.
Proof.
apply/negP; rewrite !kraft_cons !expr0 addrA => le1.
have := le_trans (ler_add (lexx (1 + 1 : rat)) (kraft_ge0 ls)) le1.
by rewrite addr0.
Qed.

(** The two lightest weights a <= b of a code may be merged: some code of the others and a + b is shorter by
    a + b at least. *)
Lemma merge_code (a b : R) (ws : seq R) (s : seq (R * nat)) :
  0 <= a -> a <= b -> all (fun w => b <= w) ws ->
  perm_eq (unzip1 s) (a :: b :: ws) -> kraft (unzip2 s) <= 1 ->
  exists s', [/\ perm_eq (unzip1 s') (a + b :: ws), kraft (unzip2 s') <= 1
    & (a + b) + mean_length s' <= mean_length s].
Proof.
move=> a0 ab bws.
have [n] := ubnP (\sum_(y <- s) y.2)%N; elim: n s => // n IH s lt_n s1 s2.
have [[x m] [s0 [Ps s0m]]] : exists x s0, perm_eq s (x :: s0) /\ all (fun y => y.2 <= x.2)%N s0.
  pose r (y z : R * nat) := (z.2 <= y.2)%N.
  have r_tot : total r by move=> y z; apply: leq_total.
  have r_tr : transitive r by move=> y z t yz ty; apply: leq_trans ty yz.
  have := sort_sorted r_tot s; have := permEl (perm_sort r s).
  case: (sort r s) => [/perm_size|x s0 Px xs0]; last first.
    by exists x, s0; split; [rewrite perm_sym | apply: order_path_min xs0].
  by move=> s0; have := perm_size s1; rewrite size_map -s0.
have {}s1 : perm_eq (x :: unzip1 s0) (a :: b :: ws).
  by apply: perm_trans s1; rewrite perm_sym; apply: (perm_map fst Ps).
have {}s2 : kraft (m :: unzip2 s0) <= 1 by rewrite -(kraft_perm (perm_map snd Ps)).
have aall : all (fun w => a <= w) (x :: unzip1 s0).
  rewrite (perm_all _ s1) /= lexx ab; apply: sub_all bws => w; exact: le_trans.
rewrite (mean_length_perm Ps).
have [/hasP[[y m'] ys0 /= /eqP Dm]|/hasPn lt_m] := boolP (has (fun y => y.2 == m) s0).
  rewrite {m'}Dm in ys0.
  have a_in : a \in unzip1 ((x, m) :: s0) by rewrite (perm_mem s1) mem_head.
  have [s4 [s41 s42 s4le]] := bring s0m a_in aall.
  have {}s41 : perm_eq (unzip1 s4) (b :: ws) by rewrite -(perm_cons a) (perm_trans s41 s1).
  have : m \in unzip2 s4 by rewrite (perm_mem s42) (map_f snd ys0).
  case/mapP=> -[z m'] zs4 /= Dm; rewrite -{m'}Dm in zs4.
  have P4 := perm_to_rem zs4; set s5 := rem _ s4 in P4.
  have Pb : perm_eq (z :: unzip1 s5) (b :: ws).
    by apply: perm_trans s41; rewrite perm_sym; apply: (perm_map fst P4).
  have Pm : perm_eq (m :: unzip2 s5) (unzip2 s0).
    by apply: perm_trans s42; rewrite perm_sym; apply: (perm_map snd P4).
  have s5m : all (fun y => y.2 <= m)%N s5.
    have : all (fun l => l <= m)%N (m :: unzip2 s5) by rewrite (perm_all _ Pm) all_map.
    by rewrite /= leqnn all_map.
  have b_in : b \in unzip1 ((z, m) :: s5) by rewrite (perm_mem Pb) mem_head.
  have ball : all (fun w => b <= w) (unzip1 ((z, m) :: s5)) by rewrite (perm_all _ Pb) /= lexx.
  have [s6 [s61 s62 s6le]] := bring s5m b_in ball.
  have {}s61 : perm_eq (unzip1 s6) ws by rewrite -(perm_cons b) (perm_trans s61 Pb).
  have {}s2 : kraft (m :: m :: unzip2 s6) <= 1.
    rewrite kraft_cons (kraft_perm (_ : perm_eq _ (m :: unzip2 s5))) ?perm_cons //.
    by rewrite (kraft_perm Pm) -kraft_cons.
  have [m' Dm] : exists m', m = m'.+1.
    by case: (m) s2 => [|m' _]; [rewrite kraft_00 | exists m'].
  exists ((a + b, m') :: s6); split=> /=; first by rewrite perm_cons.
    by move: s2; rewrite !kraft_cons addrA Dm exprSr half_half.
  rewrite mean_length_cons addrA -mulrS -Dm mulrnDl -addrA; apply: le_trans s4le.
  by rewrite ler_add2l (mean_length_perm P4).
have {}s0m : all (fun y => y.2 < m)%N s0.
  by apply/allP => y ys0; rewrite ltn_neqAle (allP s0m) // lt_m.
have [m' Dm] : exists m', m = m'.+1.
  case: (m) s0m => [|m' _]; last by exists m'.
  by have := perm_size s1; case: s0 {s1 s2 lt_n Ps aall lt_m}.
have [||s' [s'1 s'2 s'le]] := IH ((x, m') :: s0) _ s1.
- by move: lt_n; rewrite (perm_big _ Ps) !big_cons /= Dm addSn.
- by rewrite Dm in s0m s2; apply: kraft_shorten s2; rewrite all_map.
exists s'; split=> //; apply: le_trans s'le _; rewrite !mean_length_cons ler_add2r /=.
by rewrite Dm mulrS ler_addr (le_trans a0) //; case/andP: aall.
Qed.

Lemma insert_weights t f :
  perm_eq [seq weight_of u | u <- insert t f] (weight_of t :: [seq weight_of u | u <- f]).
Proof.
elim: f => //= u f IH; case: ifP => //= _; rewrite -(perm_cons (weight_of u)) in IH.
by apply: perm_trans IH _; rewrite (perm_catCA [:: _] [:: _]).
Qed.

Lemma insert_size t f : size (insert t f) = (size f).+1.
Proof. by have /perm_size := insert_weights t f; rewrite /= !size_map. Qed.

Lemma insert_cost t f : \sum_(u <- insert t f) cost u = cost t + \sum_(u <- f) cost u.
Proof.
elim: f => [|u f IH] /=; first by rewrite big_seq1 big_nil addr0.
by case: ifP => _; rewrite !big_cons // IH addrCA.
Qed.

Lemma insert_leaves t f :
  perm_eq (flatten [seq leaves u | u <- insert t f]) (leaves t ++ flatten [seq leaves u | u <- f]).
Proof.
elim: f => [|u f IH] //=; case: ifP => //= _; rewrite -(perm_cat2l (leaves u)) in IH.
by apply: perm_trans IH _; rewrite perm_catCA.
Qed.

Lemma insert_sorted t f : sorted <=%R [seq weight_of u | u <- f] ->
  sorted <=%R [seq weight_of u | u <- insert t f].
Proof.
elim: f => //= u f IH; case: ifP => /= [-> //|tu uf].
have ut : weight_of u <= weight_of t by rewrite leNgt lt_def tu andbF.
have := IH (path_sorted uf); rewrite (path_sortedE le_trans) => ->; rewrite andbT.
rewrite (perm_all _ (insert_weights t f)) /= ut.
by move: uf; rewrite (path_sortedE le_trans) => /andP[].
Qed.

Lemma merge_lightest_leaves k f : (0 < size f <= k.+1)%N ->
  perm_eq (leaves (head (Leaf 0) (merge_lightest k f))) (flatten [seq leaves t | t <- f]).
Proof.
elim: k f => [|k IH] [|t [|u f]] //= fk; rewrite ?cats0 //.
apply: perm_trans (IH _ _) _; first by rewrite insert_size.
by apply: perm_trans (insert_leaves _ _) _; rewrite leaves_node catA.
Qed.

Lemma merge_lightest_cost k f s : (0 < size f <= k.+1)%N ->
  sorted <=%R [seq weight_of t | t <- f] -> all (fun w => 0 <= w) [seq weight_of t | t <- f] ->
  perm_eq (unzip1 s) [seq weight_of t | t <- f] -> kraft (unzip2 s) <= 1 ->
  cost (head (Leaf 0) (merge_lightest k f)) <= \sum_(t <- f) cost t + mean_length s.
Proof.
have one t s' : all (fun w => 0 <= w) [:: weight_of t] -> perm_eq (unzip1 s') [:: weight_of t] ->
    cost t <= \sum_(u <- [:: t]) cost u + mean_length s'.
  by move=> t0 s't; rewrite big_seq1 ler_addl mean_length_ge0 // (perm_all _ s't).
elim: k f s => [|k IH] [|t [|u f]] s //= fk; [by move=> _ t0 st _; apply: one ..|].
case/andP=> tu uf /and3P[t0 u0 f0] st s1.
have uf' : all (fun w => weight_of u <= w) [seq weight_of t | t <- f].
  by move: uf; rewrite (path_sortedE le_trans) => /andP[].
have [s' [s't s'1 s'le]] := merge_code t0 tu uf' st s1.
have := insert_weights (Node t u) f => P.
apply: le_trans (IH _ s' _ _ _ _ _) _ => //; rewrite ?insert_size //.
- exact: insert_sorted (path_sorted uf).
- by rewrite (perm_all _ P) /= addr_ge0.
- by apply: perm_trans s't _; rewrite perm_sym.
rewrite insert_cost !big_cons /= [X in X + mean_length s]addrA.
by rewrite [X in X + _ <= _]addrAC -[X in X <= _]addrA ler_add2l.
Qed.

Lemma size_sort_leaves ws : size (foldr insert [::] (map (@Leaf R) ws)) = size ws.
Proof. by elim: ws => //= w ws <-; rewrite insert_size. Qed.

(** Huffman's tree has the given weights at its leaves. *)
Theorem huffman_leaves (ws : seq R) : ws != [::] -> perm_eq (leaves (huffman ws)) ws.
Proof.
move=> ws0; apply: perm_trans (merge_lightest_leaves _) _.
  by rewrite size_sort_leaves lt0n size_eq0 ws0 leqnSn.
elim: ws {ws0} => //= w ws IH; apply: perm_trans (insert_leaves _ _) _.
by rewrite perm_cons.
Qed.

Lemma huffman_least (ws : seq R) (s : seq (R * nat)) :
  ws != [::] -> all (fun w => 0 <= w) ws -> perm_eq (unzip1 s) ws -> kraft (unzip2 s) <= 1 ->
  cost (huffman ws) <= mean_length s.
Proof.
move=> ws0 ws_ge0 sws s1.
have P : perm_eq [seq weight_of t | t <- foldr insert [::] (map (@Leaf R) ws)] ws.
  elim: (ws) => //= w ws' IH; apply: perm_trans (insert_weights _ _) _.
  by rewrite perm_cons.
apply: le_trans (merge_lightest_cost _ _ _ _ s1) _.
- by rewrite size_sort_leaves lt0n size_eq0 ws0 leqnSn.
- by elim: (ws) => //= w ws' IH; apply: insert_sorted.
- by rewrite (perm_all _ P).
- by rewrite (permPr P).
rewrite (_ : \sum_(t <- _) cost t = 0) ?add0r //.
by elim: (ws) => [|w ws' IH] /=; rewrite ?big_nil // insert_cost IH addr0.
Qed.

(** Huffman's construction is optimal: for weights w >= 0, and any lengths l that satisfy Kraft's inequality,
    the cost of Huffman's tree is at most sum w l. *)
Theorem huffman_optimal (ws : seq R) (ls : seq nat) :
  ws != [::] -> all (fun w => 0 <= w) ws -> size ls = size ws -> kraft ls <= 1 ->
  cost (huffman ws) <= mean_length (zip ws ls).
Proof.
move=> ws0 ws_ge0 ls_size ls1.
by apply: huffman_least; rewrite // ?unzip1_zip ?unzip2_zip ?ls_size.
Qed.

(** No full binary tree with the same weights >= 0 at its leaves costs less than Huffman's. *)
Theorem huffman_optimal_tree (ws : seq R) (t : btree R) :
  all (fun w => 0 <= w) ws -> perm_eq (leaves t) ws -> cost (huffman ws) <= cost t.
Proof.
move=> ws_ge0 tws; rewrite (cost_mean_length t); apply: huffman_least => //.
- rewrite -size_eq0 -(perm_size tws) size_eq0.
  by elim: t {tws} => // l IHl r _; rewrite leaves_node; case: leaves IHl.
- by rewrite unzip1_zip ?size_lengths.
by rewrite unzip2_zip ?size_lengths // kraft_equality.
Qed.

(** The cost of Huffman's tree does not depend on the order of the weights >= 0. *)
Theorem huffman_perm (ws ws' : seq R) :
  all (fun w => 0 <= w) ws -> perm_eq ws ws' -> cost (huffman ws) = cost (huffman ws').
Proof.
move=> ws0 P; have [ws_nil|ws_n] := eqVneq ws [::].
  by move: P; rewrite ws_nil perm_sym => /perm_nilP ->.
have ws'_n : ws' != [::] by rewrite -size_eq0 -(perm_size P) size_eq0.
apply/le_anti/andP; split; apply: huffman_optimal_tree.
- by [].
- by rewrite (permPr P) huffman_leaves.
- by rewrite -(perm_all _ P).
by rewrite -(permPr P) huffman_leaves.
Qed.

(** No prefix code, with any words for the weights >= 0, is shorter on average than Huffman's tree. *)
Theorem huffman_optimal_code (ws : seq R) (cs : seq (seq bool)) :
  ws != [::] -> all (fun w => 0 <= w) ws -> size cs = size ws -> prefix_free cs ->
  cost (huffman ws) <= mean_length (zip ws [seq size c | c <- cs]).
Proof. by move=> *; apply: huffman_optimal; rewrite ?size_map //; apply: kraft_inequality. Qed.

(** Nor is any uniquely decodable code. *)
Theorem huffman_optimal_decodable (ws : seq R) (cs : seq (seq bool)) :
  ws != [::] -> all (fun w => 0 <= w) ws -> size cs = size ws -> uniquely_decodable cs ->
  cost (huffman ws) <= mean_length (zip ws [seq size c | c <- cs]).
Proof. by move=> *; apply: huffman_optimal; rewrite ?size_map //; apply: mcmillan. Qed.

(** Scaling the weights by c > 0 scales the cost. *)
Theorem huffman_scale (c : R) (ws : seq R) : 0 < c ->
  cost (huffman [seq c * w | w <- ws]) = c * cost (huffman ws).
Proof.
move=> c_gt0; pose fix scale t := match t with Leaf w => Leaf (c * w) | Node l r => Node (scale l) (scale r) end.
have W t : weight_of (scale t) = c * weight_of t by elim: t => //= l -> r ->; rewrite mulrDr.
have C t : cost (scale t) = c * cost t.
  by elim: t => [w|l IHl r IHr] /=; rewrite ?mulr0 // IHl IHr !W !mulrDr.
have I t f : insert (scale t) (map scale f) = map scale (insert t f).
  by elim: f => //= u f IH; rewrite !W ler_pmul2l //; case: ifP => //= _; rewrite IH.
have M k f : merge_lightest k (map scale f) = map scale (merge_lightest k f).
  by elim: k f => [|k IH] [|t [|u f]] //=; rewrite -IH -I.
have F : foldr insert [::] (map (@Leaf R) [seq c * w | w <- ws])
    = map scale (foldr insert [::] (map (@Leaf R) ws)).
  by elim: ws => //= w ws IH; rewrite IH -I.
rewrite /huffman F size_map M; case: (merge_lightest _ _) => [|t f] /=; last exact: C.
by rewrite mulr0.
Qed.

(** The only codeword of one symbol is empty. *)
Theorem huffman_one (w : R) : lengths (huffman [:: w]) = [:: 0%N].
Proof. by []. Qed.

End Huffman.
