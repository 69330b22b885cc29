(** The token tree of a dataset: weights add up, pruning, merging, and the joint leaves.

    The alphabet is any finite type of symbols.  Weights are counts (integers), probabilities, or elements of
    any other ordered domain.  A tree is held as the list of its leaves with their weights; a leaf listed twice
    has both weights.  All definitions compute. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Definitions.
Variables (R : numDomainType) (symbol : finType).

(** A token is a symbol or EOS. *)
Definition token := option symbol.
(** EOS, the token that ends a sequence. *)
Definition EOS : token := None.

(** A node is the path of tokens that leads to it; its depth is the number of them. *)
Definition node := seq token.
Definition depth (v : node) : nat := size v.

(** A response is a finite string of symbols; closed by EOS, it is the path to a leaf. *)
Definition path_of (x : seq symbol) : node := rcons (map some x) EOS.

(** A dataset: responses, each with its count or probability. *)
Definition data := seq (seq symbol * R).

(** The size of a dataset: the sum of its weights. *)
Fixpoint total (D : data) : R := if D is x :: D' then x.2 + total D' else 0.

(** A tree: its leaves, each with a weight. *)
Definition tree := seq (node * R).

(** The token tree of a dataset: a leaf for every response, of the response's weight. *)
Definition token_tree (D : data) : tree := [seq (path_of x.1, x.2) | x <- D].

(** The weight of a node is that of all leaves at or below it. *)
Fixpoint node_weight (t : tree) (v : node) : R :=
  if t is l :: t' then (if prefix v l.1 then l.2 else 0) + node_weight t' v else 0.

(** Pruning to depth d: a leaf below depth d becomes the node at depth d on the way to it. *)
Definition prune (d : nat) (t : tree) : tree := [seq (take d l.1, l.2) | l <- t].

(** Merging: the leaves of both.  Where a leaf is in both, it then has both weights. *)
Definition merge (s t : tree) : tree := s ++ t.

(** The leaves, each once; a leaf of weight 0 counts too. *)
Definition leaves (t : tree) : seq node := undup [seq l.1 | l <- t].

(** The nodes: a leaf and all nodes on the way to it. *)
Definition has_node (t : tree) (v : node) : bool := has (fun l => prefix v l.1) t.

(** v is an EOS node: EOS is on its path, and in the tree of a dataset it can only stand at the end. *)
Definition ends (v : node) : bool := EOS \in v.

Lemma totalE D : total D = \sum_(x <- D) x.2.
Proof. by elim: D => [|x D IH] /=; rewrite ?big_nil ?big_cons ?IH. Qed.

Lemma weightE t v : node_weight t v = \sum_(l <- t | prefix v l.1) l.2.
Proof.
elim: t => [|l t IH] /=; first by rewrite big_nil.
by rewrite big_cons IH; case: ifP; rewrite ?add0r.
Qed.

Lemma weight_token_tree D v : node_weight (token_tree D) v = \sum_(x <- D | prefix v (path_of x.1)) x.2.
Proof. by rewrite weightE big_map. Qed.

(** Where all weights are positive, the nodes are the paths of positive weight. *)
Theorem node_weight_gt0 (t : tree) (v : node) : all (fun l => 0 < l.2) t ->
  has_node t v = (0 < node_weight t v).
Proof.
have ge0 s : all (fun l => 0 < l.2) s -> 0 <= node_weight s v.
  move=> /allP s0; rewrite weightE big_seq_cond; apply: sumr_ge0 => l /andP[ls _].
  exact/ltW/s0.
elim: t => [|l t IH] /=; first by rewrite ltxx.
case/andP=> l0 t0; case: ifP => _ /=; last by rewrite add0r IH.
by rewrite ltr_paddr ?ge0.
Qed.

(** The root of a dataset's tree weighs the whole dataset. *)
Theorem weight_root (D : data) : node_weight (token_tree D) [::] = total D.
Proof. by rewrite weight_token_tree totalE; apply: eq_bigl => -[[|b y] c]. Qed.

Lemma prefix_path (x y : seq symbol) : prefix (path_of x) (path_of y) = (y == x).
Proof.
elim: x y => [|a x IH] [|b y] //.
have := prefix_cons (path_of x) (path_of y) (Some a) (Some b).
by rewrite IH !eqseq_cons [b == a]eq_sym => <-.
Qed.

(** The weight of an EOS leaf is the count, or the probability, of its response. *)
Theorem weight_leaf (D : data) (x : seq symbol) :
  node_weight (token_tree D) (path_of x) = \sum_(y <- D | y.1 == x) y.2.
Proof. by rewrite weight_token_tree; apply: eq_bigl => y; rewrite prefix_path. Qed.

Lemma prefix_step (v p : node) (c : R) : p != v ->
  (if prefix v p then c else 0)
  = (if prefix (rcons v EOS) p then c else 0)
    + \sum_a (if prefix (rcons v (Some a)) p then c else 0).
Proof.
move=> pNv; case: ifP => [/prefixP[[|b r] Dp]|vNp]; first by rewrite Dp cats0 eqxx in pNv.
  have E a : prefix (rcons v a) p = (a == b).
    by rewrite Dp -cats1 prefix_catr // eqxx prefix_cons prefix0s andbT.
  under eq_bigr do rewrite E.
  rewrite E -big_mkcond; case: b {Dp E} => [s|] /=; last by rewrite big_pred0 ?addr0.
  by rewrite add0r (eq_bigl (pred1 s)) ?big_pred1_eq.
have E a : prefix (rcons v a) p = false.
  by apply: contraFF vNp; apply/prefix_trans/prefix_rcons.
by rewrite E add0r big1 // => a _; rewrite E.
Qed.

(** Weights add up: the weight of any node that is no leaf is the sum of its children's, EOS and symbols.
    This holds in every tree, pruned and merged ones too. *)
Theorem weights_add_up (t : tree) (v : node) : v \notin leaves t ->
  node_weight t v = node_weight t (rcons v EOS) + \sum_a node_weight t (rcons v (Some a)).
Proof.
rewrite mem_undup; elim: t => [|l t IH] /=; first by rewrite big1 ?addr0.
rewrite inE negb_or eq_sym => /andP[lNv /IH ->].
by rewrite (prefix_step _ lNv) big_split /= addrACA.
Qed.

Lemma ends_path (x : seq symbol) : ends (path_of x).
Proof. by rewrite /ends mem_rcons inE eqxx. Qed.

(** In a dataset's tree: the weight of every node that is no EOS node is the sum of its children's. *)
Theorem weights_add_up_data (D : data) (v : node) : ~~ ends v ->
  node_weight (token_tree D) v
  = node_weight (token_tree D) (rcons v EOS) + \sum_a node_weight (token_tree D) (rcons v (Some a)).
Proof.
move=> vN; apply: weights_add_up; apply: contra vN.
by rewrite mem_undup -map_comp => /mapP[x _ ->]; apply: ends_path.
Qed.

(** Pruning to depth d keeps the weight of every node at depth <= d, and leaves no weight below. *)
Theorem prune_weight (d : nat) (t : tree) (v : node) :
  node_weight (prune d t) v = if (depth v <= d)%N then node_weight t v else 0.
Proof.
rewrite !weightE big_map /=; case: leqP => [vd|dv].
  by apply: eq_bigl => l /=; rewrite !prefixE take_take.
rewrite big_pred0 // => l; apply/negP => /size_prefix.
rewrite size_take_min => /leq_trans/(_ (geq_minl _ _)); by rewrite leqNgt dv.
Qed.

(** Pruning to depth d keeps the nodes at depth <= d, and no others. *)
Theorem prune_nodes (d : nat) (t : tree) (v : node) :
  has_node (prune d t) v = (depth v <= d)%N && has_node t v.
Proof.
rewrite /has_node has_map; case: leqP => [vd|dv] /=.
  by apply: eq_has => l /=; rewrite !prefixE take_take.
apply/hasPn => l _ /=; apply/negP => /size_prefix.
rewrite size_take_min => /leq_trans/(_ (geq_minl _ _)); by rewrite leqNgt dv.
Qed.

(** Pruning twice is pruning to the smaller depth. *)
Theorem prune_prune (d e : nat) (t : tree) : prune d (prune e t) = prune (minn d e) t.
Proof.
rewrite /prune -map_comp; apply: eq_map => l /=; congr (_, _).
case: (leqP d e) => [de|ed]; first by rewrite take_take.
by rewrite take_oversize // size_take_min geq_min ltnW.
Qed.

Lemma take_path (d : nat) (x : seq symbol) :
  take d (path_of x) = if (size x < d)%N then path_of x else map some (take d x).
Proof.
case: ltnP => xd; first by rewrite take_oversize // size_rcons size_map.
by rewrite /path_of -cats1 takel_cat ?size_map // map_take.
Qed.

Lemma ends_some (x : seq symbol) : ends (map some x) = false.
Proof. by apply/negP => /mapP[]. Qed.

(** The leaves of the pruned tree are the EOS nodes at depth at most d, and all nodes at depth d. *)
Theorem prune_leaves (d : nat) (D : data) (v : node) :
  (v \in leaves (prune d (token_tree D)))
  = has_node (token_tree D) v && ((ends v && (depth v <= d)%N) || (depth v == d)).
Proof.
rewrite mem_undup -!map_comp; apply/mapP/andP => [[x xD ->]|[]].
  rewrite /= take_path; split.
    apply/hasP; exists (path_of x.1, x.2); first by apply/mapP; exists x.
    by rewrite -take_path; apply/prefixP; exists (drop d (path_of x.1)); rewrite cat_take_drop.
  case: ltnP => xd; first by rewrite ends_path /depth size_rcons size_map xd.
  by rewrite ends_some /= /depth size_map size_takel ?eqxx.
rewrite /has_node has_map => /hasP[x xD /= /prefixP[r Dx]] vd; exists x => //=.
case/orP: vd => [/andP[ve vd]|/eqP <-]; last by rewrite Dx take_size_cat.
have r0 : r = [::].
  case: r / lastP Dx => // r a Dx; move: ve; rewrite -rcons_cat in Dx.
  by case/rcons_inj: Dx => Dx _; rewrite /ends => ve; have := ends_some x.1;
     rewrite /ends Dx mem_cat ve.
by rewrite Dx r0 cats0 take_oversize.
Qed.

(** No leaf of the pruned tree is above another: what a leaf weighs is its own. *)
Theorem leaves_apart (d : nat) (D : data) (v w : node) :
  v \in leaves (prune d (token_tree D)) -> w \in leaves (prune d (token_tree D)) ->
  prefix v w -> v = w.
Proof.
rewrite !prune_leaves => /andP[_ vl] /andP[/hasP[l /mapP[x xD ->]] /=] wx wl vw.
case/orP: vl => [/andP[ve vd]|/eqP vd].
  case/prefixP: wx vw => r Dx /prefixP[s Dw].
  case: s / lastP Dw => [|s a Dw]; first by rewrite cats0.
  have := ends_some x.1; have : EOS \in map some x.1; last by rewrite /ends => ->.
  case: r / lastP Dx => [|r b]; rewrite Dw.
    rewrite cats0 -rcons_cat => /rcons_inj[-> _].
    by rewrite mem_cat (ve : EOS \in v).
  by rewrite -rcons_cat => /rcons_inj[-> _]; rewrite !mem_cat (ve : EOS \in v).
case/prefixP: vw wl => [[|a s] ->]; first by rewrite cats0.
rewrite {}/depth in vd *; rewrite size_cat /= vd addnS ltnNge leq_addr andbF /=.
by rewrite gtn_eqF // ltnS leq_addr.
Qed.

(** Each leaf of the pruned tree carries the weight of its whole subtree. *)
Theorem leaf_weight (d : nat) (D : data) (v : node) : v \in leaves (prune d (token_tree D)) ->
  node_weight (prune d (token_tree D)) v = node_weight (token_tree D) v.
Proof.
by rewrite prune_weight prune_leaves => /andP[_ /orP[/andP[_ ->]|/eqP->]] //; rewrite leqnn.
Qed.

Lemma leaf_on_path (d : nat) (D : data) (x : seq symbol) (v : node) :
  v \in leaves (prune d (token_tree D)) -> prefix v (path_of x) = (v == take d (path_of x)).
Proof.
rewrite mem_undup -!map_comp => /mapP[y yD ->] /=.
rewrite take_path; case: ltnP => yd; last first.
  by rewrite prefixE size_map size_takel // eq_sym.
rewrite prefix_path take_path; case: ltnP => xd.
  by apply/eqP/eqP => [-> //|/rcons_inj[/(inj_map Some_inj)]].
apply/eqP/eqP => [Dx|Dx]; first by rewrite Dx leqNgt yd in xd.
by have := ends_some (take d x); rewrite -Dx ends_path.
Qed.

(** Every response passes exactly one leaf of the pruned tree. *)
Theorem one_leaf (d : nat) (D : data) (x : seq symbol) : x \in [seq y.1 | y <- D] ->
  exists! v, v \in leaves (prune d (token_tree D)) /\ prefix v (path_of x).
Proof.
case/mapP=> y yD ->; exists (take d (path_of y.1)).
have ly : take d (path_of y.1) \in leaves (prune d (token_tree D)).
  by rewrite mem_undup -!map_comp; apply/mapP; exists y.
split=> [|v [vl]]; first by rewrite (leaf_on_path _ ly).
by rewrite (leaf_on_path _ vl) => /eqP.
Qed.

Lemma leaves_cover (d : nat) (D E : data) : {subset [seq x.1 | x <- D] <= [seq x.1 | x <- E]} ->
  \sum_(v <- leaves (prune d (token_tree E))) node_weight (token_tree D) v = total D.
Proof.
move=> sDE; under eq_bigr do rewrite weight_token_tree big_mkcond.
rewrite exchange_big totalE /= big_seq [RHS]big_seq; apply: eq_bigr => x xD.
have lx : take d (path_of x.1) \in leaves (prune d (token_tree E)).
  have /sDE/mapP[y yE ->] := map_f fst xD.
  by rewrite mem_undup -!map_comp; apply/mapP; exists y.
rewrite (bigD1_seq _ lx (undup_uniq _)) /= (leaf_on_path _ lx) eqxx big_seq_cond big1 ?addr0 // => v.
by case/andP=> vl vN; rewrite (leaf_on_path _ vl) (negPf vN).
Qed.

(** The leaves of the pruned tree share out the whole weight: sum over leaves of the weight = total. *)
Theorem leaves_partition (d : nat) (D : data) :
  \sum_(v <- leaves (prune d (token_tree D))) node_weight (token_tree D) v = total D.
Proof. exact: leaves_cover. Qed.

(** Merging adds weights, exactly, at every node. *)
Theorem merge_weight (s t : tree) (v : node) : node_weight (merge s t) v = node_weight s v + node_weight t v.
Proof. by rewrite !weightE big_cat. Qed.

(** Merging is associative. *)
Theorem mergeA (s t u : tree) : merge s (merge t u) = merge (merge s t) u.
Proof. exact: catA. Qed.

(** Merging is commutative: the same leaves with the same weights in another order, so the same weight at
    every node. *)
Theorem mergeC (s t : tree) : perm_eq (merge s t) (merge t s).
Proof. by rewrite perm_catC. Qed.

(** The same, as weights of nodes. *)
Theorem merge_weightC (s t : tree) (v : node) : node_weight (merge s t) v = node_weight (merge t s) v.
Proof. by rewrite !merge_weight addrC. Qed.

(** The tree of a union of datasets is the merge of their trees. *)
Theorem merge_union (D E : data) : token_tree (D ++ E) = merge (token_tree D) (token_tree E).
Proof. exact: map_cat. Qed.

(** Pruning and merging commute. *)
Theorem prune_merge (d : nat) (s t : tree) : prune d (merge s t) = merge (prune d s) (prune d t).
Proof. exact: map_cat. Qed.

End Definitions.

Section JointLeaves.
Variables (R : realFieldType) (symbol dataset : finType).

(** Datasets D_i with weights >= 0 and sizes n_i > 0, and a depth d. *)
Variable D : dataset -> data R symbol.
Hypothesis weights_ge0 : forall i, all (fun x => 0 <= x.2) (D i).
Hypothesis total_gt0 : forall i, 0 < total (D i).
Variable d : nat.

(** All data. *)
Definition union : data R symbol := flatten [seq D i | i <- enum dataset].

(** The joint leaves: those of the tree of all data, pruned to depth d.  ([merge_all] says that this tree is the
    merge of the datasets' trees.) *)
Definition joint_leaf : finType := [finType of seq_sub (leaves (prune d (token_tree union)))].

(** p_i(x): the weight of the joint leaf x in D_i's own tree, over the size of D_i. *)
Definition leaf_mass (i : dataset) (x : joint_leaf) : R :=
  node_weight (token_tree (D i)) (ssval x) / total (D i).

(** The tree of all data is the merge of the datasets' trees. *)
Theorem merge_all :
  token_tree union = foldr (@merge R symbol) [::] [seq token_tree (D i) | i <- enum dataset].
Proof. by rewrite /union; elim: (enum dataset) => //= i s <-; rewrite -merge_union. Qed.

Lemma leaf_mass_ge0 i x : 0 <= leaf_mass i x.
Proof.
apply: divr_ge0; last exact: ltW.
rewrite weight_token_tree big_seq_cond; apply: sumr_ge0 => y /andP[yD _].
exact: (allP (weights_ge0 i)).
Qed.

Lemma sum_joint_leaf (F : node symbol -> R) :
  \sum_(x : joint_leaf) F (ssval x) = \sum_(v <- leaves (prune d (token_tree union))) F v.
Proof.
rewrite -(big_map val xpredT F); apply: perm_big; apply: uniq_perm.
- by rewrite (map_inj_uniq val_inj) index_enum_uniq.
- exact: undup_uniq.
move=> v; apply/mapP/idP => [[x _ ->]|vl]; first exact: valP.
by exists (SeqSub vl); rewrite ?mem_index_enum.
Qed.

Lemma leaf_mass_sum1 i : \sum_x leaf_mass i x = 1.
Proof.
rewrite -mulr_suml sum_joint_leaf leaves_cover ?mulfV ?gt_eqF // => v.
case/mapP=> x xD ->; apply/map_f/flattenP; exists (D i) => //.
by apply: map_f; rewrite mem_enum.
Qed.

(** The datasets' distributions over the joint leaves; the size of D_i is its total. *)
Definition tree_mixture : mixture R dataset joint_leaf :=
  Mixture (fun i => Distribution (leaf_mass_ge0 i) (leaf_mass_sum1 i)) total_gt0.

Lemma total_union : total union = total_size tree_mixture.
Proof.
rewrite totalE big_flatten big_map big_enum; apply: eq_bigr => i _.
by rewrite /= totalE.
Qed.

(** The distribution of the merged, pruned tree over the joint leaves is the mixture: its weight at x over the
    total is q(x) = sum_i w_i p_i(x), with w_i = n_i / T. *)
Theorem merged_is_joint (x : joint_leaf) :
  node_weight (prune d (token_tree union)) (ssval x) / total union = joint tree_mixture x.
Proof.
rewrite leaf_weight ?(valP x) // total_union weight_token_tree big_flatten big_map big_enum mulr_suml.
apply: eq_bigr => i _; rewrite /weight /= /leaf_mass -weight_token_tree.
by rewrite mulrCA mulrAC mulfV ?mul1r ?gt_eqF.
Qed.

End JointLeaves.
