(** Binary codes and Kraft's sum: sum over codewords of 2^-length. *)

From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** Kraft's sum of lengths, a rational number. *)
Definition kraft (lengths : seq nat) : rat := \sum_(l <- lengths) 2%:R^-1 ^+ l.

(** No word is a prefix of another, and no word occurs twice. *)
Definition prefix_free (words : seq (seq bool)) : Prop :=
  uniq words /\ {in words &, forall u v, prefix u v -> u = v}.

(** A full binary tree: every node is a leaf or has two children. *)
Inductive btree (A : Type) := Leaf of A | Node of btree A & btree A.

(** The leaves with their codewords: the turns on the way to them. *)
Fixpoint code A (t : btree A) : seq (A * seq bool) :=
  match t with
  | Leaf a => [:: (a, [::])]
  | Node l r => [seq (x.1, false :: x.2) | x <- code l] ++ [seq (x.1, true :: x.2) | x <- code r]
  end.

(** What stands at the leaves, their codewords, and the lengths of those: the leaves' depths. *)
Definition leaves A (t : btree A) : seq A := [seq x.1 | x <- code t].
Definition words A (t : btree A) : seq (seq bool) := [seq x.2 | x <- code t].
Definition lengths A (t : btree A) : seq nat := [seq size w | w <- words t].

Lemma leaves_node A (l r : btree A) : leaves (Node l r) = leaves l ++ leaves r.
Proof. by rewrite /leaves /= map_cat -!map_comp. Qed.

Lemma words_node A (l r : btree A) :
  words (Node l r) = map (cons false) (words l) ++ map (cons true) (words r).
Proof. by rewrite /words /= map_cat -!map_comp. Qed.

Lemma lengths_node A (l r : btree A) :
  lengths (Node l r) = map succn (lengths l) ++ map succn (lengths r).
Proof. by rewrite /lengths words_node map_cat -!map_comp. Qed.

Lemma kraft_cons l ls : kraft (l :: ls) = 2%:R^-1 ^+ l + kraft ls.
Proof. exact: big_cons. Qed.

Lemma kraft_cat ls ms : kraft (ls ++ ms) = kraft ls + kraft ms.
Proof. exact: big_cat. Qed.

Lemma kraft_perm ls ms : perm_eq ls ms -> kraft ls = kraft ms.
Proof. exact: perm_big. Qed.

Lemma kraft_succ ls : kraft (map succn ls) = kraft ls / 2%:R.
Proof. by rewrite /kraft big_map mulr_suml; apply: eq_bigr => l _; rewrite exprSr. Qed.

Lemma kraft_ge0 ls : 0 <= kraft ls.
Proof. by apply: sumr_ge0 => l _; apply: exprn_ge0. Qed.

Lemma half_half (x : rat) : x / 2%:R + x / 2%:R = x.
Proof. by rewrite -mulr2n -mulr_natr divfK. Qed.

(** Kraft's equality: in a full binary tree, sum over leaves of 2^-depth = 1. *)
Theorem kraft_equality A (t : btree A) : kraft (lengths t) = 1.
Proof.
elim: t => [a|l IHl r IHr]; first by rewrite kraft_cons /kraft big_nil addr0.
by rewrite lengths_node kraft_cat !kraft_succ IHl IHr half_half.
Qed.

(** The codewords of a full binary tree are a prefix code. *)
Theorem words_prefix_free A (t : btree A) : prefix_free (words t).
Proof.
elim: t => [a|l [ul pl] r [ur pr]]; first by split=> // u v; rewrite !inE => /eqP-> /eqP->.
have inj b : injective (cons b : seq bool -> seq bool) by move=> u v [].
rewrite words_node; split.
  rewrite cat_uniq !map_inj_uniq ?ul ?ur ?andbT //=.
  by apply/hasPn => _ /mapP[u _ ->]; apply/negP => /mapP[].
move=> u v; rewrite !mem_cat.
case/orP=> /mapP[u' u'l ->] /orP[] /mapP[v' v'l ->] //; rewrite prefix_cons /= => uv; congr (_ :: _).
  exact: pl.
exact: pr.
Qed.

(** The words that begin with b, without it. *)
Definition tails (b : bool) (ws : seq (seq bool)) : seq (seq bool) :=
  [seq behead w | w <- ws & (w != [::]) && (head false w == b)].

Lemma mem_tails b ws w : (w \in tails b ws) = (b :: w \in ws).
Proof.
apply/mapP/idP => [[v]|bw]; last by exists (b :: w); rewrite // mem_filter eqxx.
by rewrite mem_filter => /andP[/andP[v0 /eqP <-] vws] ->; case: v v0 vws.
Qed.

Lemma tails_split ws : [::] \notin ws ->
  perm_eq ws (map (cons false) (tails false ws) ++ map (cons true) (tails true ws)).
Proof.
move=> e; rewrite -(perm_filterC (fun w => head false w == false)) perm_sym.
have E b : map (cons b) (tails b ws) = [seq w <- ws | head false w == b].
  rewrite -map_comp -[RHS]map_id (_ : [seq w <- ws | (w != [::]) && _] = [seq w <- ws | head false w == b]).
    apply/eq_in_map => w; rewrite mem_filter => /andP[/eqP <-].
    by case: w => [|c w] //= ews; rewrite ews in e.
  by apply: eq_in_filter => w; case: w => [ews|//]; rewrite ews in e.
rewrite !E perm_cat2l (@eq_filter _ _ (fun w => head false w == true)) // => w /=.
by case: head.
Qed.

Lemma kraft_tails ws : [::] \notin ws -> kraft [seq size w | w <- ws]
  = kraft [seq size w | w <- tails false ws] / 2%:R + kraft [seq size w | w <- tails true ws] / 2%:R.
Proof.
move=> e; rewrite (kraft_perm (perm_map size (tails_split e))) map_cat kraft_cat.
have E b s : kraft (map size (map (cons b) s)) = kraft (map size s) / 2%:R.
  by rewrite -kraft_succ -!map_comp.
by rewrite !E.
Qed.

(** Kraft's inequality: in every prefix code, sum over codewords of 2^-length <= 1. *)
Theorem kraft_inequality (ws : seq (seq bool)) :
  prefix_free ws -> kraft [seq size w | w <- ws] <= 1.
Proof.
have [n] := ubnP (\sum_(w <- ws) size w)%N; elim: n ws => // n IH ws lt_n [uws pws].
have [e|e] := boolP ([::] \in ws).
  suff -> : ws = [:: [::]] by rewrite /kraft big_seq1.
  apply/perm_small_eq => //; apply: uniq_perm => // w; rewrite inE.
  by apply/idP/eqP => [wws|-> //]; rewrite (pws _ _ e wws) ?prefix0s.
have [-> | ws_n0] := eqVneq ws [::]; first by rewrite /kraft big_nil.
have ws_split := tails_split e.
have sizes : (\sum_(w <- ws) size w
    = \sum_(w <- tails false ws) size w + \sum_(w <- tails true ws) size w + size ws)%N.
  rewrite (perm_size ws_split) (perm_big _ ws_split) big_cat size_cat !size_map !big_map /= addnACA.
  by rewrite -!sum1_size -!big_split /=; congr (_ + _)%N; apply: eq_bigr => w _; rewrite addn1.
have small b : kraft [seq size w | w <- tails b ws] <= 1.
  apply: IH.
    rewrite -ltnS; apply: leq_trans lt_n; rewrite ltnS sizes -addn1.
    apply: leq_add; last by rewrite lt0n size_eq0.
    by case: b; rewrite ?leq_addr ?leq_addl.
  split=> [|u v]; last first.
    rewrite !mem_tails => uw vw uv; have : b :: u = b :: v by apply: pws; rewrite // prefix_cons eqxx.
    by case.
  have := perm_uniq ws_split; rewrite uws cat_uniq => /esym/and3P[].
  by case: b => [_ _ /map_uniq|/map_uniq].
by rewrite kraft_tails // -[1]half_half ler_add // ler_pmul2r.
Qed.

Lemma kraft_covered l (ws : seq (seq bool)) : (forall w, size w = l -> has (fun c => prefix c w) ws) ->
  1 <= kraft [seq size w | w <- ws].
Proof.
elim: l ws => [|l IH] ws cov; have [e|e] := boolP ([::] \in ws).
- by rewrite (kraft_perm (perm_map size (perm_to_rem e))) kraft_cons expr0 ler_addl kraft_ge0.
- have /hasP[c cws] := cov [::] erefl.
  by rewrite prefixs0 => /eqP c0; rewrite -c0 cws in e.
- by rewrite (kraft_perm (perm_map size (perm_to_rem e))) kraft_cons expr0 ler_addl kraft_ge0.
have half b : 1 <= kraft [seq size w | w <- tails b ws].
  apply: IH => w wl; have /hasP[[|c v] cws] := cov (b :: w) (congr1 succn wl).
    by rewrite cws in e.
  rewrite prefix_cons => /andP[/eqP cb vw]; apply/hasP; exists v => //.
  by rewrite mem_tails -cb.
by rewrite kraft_tails // -[1]half_half ler_add // ler_pmul2r.
Qed.

Lemma perm_map_exists (A : eqType) (f : A -> nat) s t : perm_eq (map f s) t ->
  exists2 s', perm_eq s s' & map f s' = t.
Proof.
elim: t s => [|l t IH] s st.
  by exists [::] => //; case: s st => // x s /perm_size.
have /mapP[x xs Dl] : l \in map f s by rewrite (perm_mem st) mem_head.
have P := perm_to_rem xs; have [|s' ss' <-] := IH (rem x s).
  by rewrite -(perm_cons l) (perm_trans _ st) // Dl perm_sym; apply: (perm_map f P).
by exists (x :: s'); rewrite ?Dl // (permPl P) perm_cons.
Qed.

(** The converse: any lengths with sum of 2^-length <= 1 are those of a prefix code. *)
Theorem kraft_converse (ls : seq nat) : kraft ls <= 1 ->
  exists ws, prefix_free ws /\ [seq size w | w <- ws] = ls.
Proof.
have tr : transitive geq by move=> y z t yz ty; apply: leq_trans ty yz.
have tot : total geq by move=> y z; apply: leq_total.
have P := permEl (perm_sort geq ls); rewrite -(kraft_perm P) => ls1.
suff [ws [uws pws] E] : exists2 ws, prefix_free ws & [seq size w | w <- ws] = sort geq ls.
  have := P; rewrite -E => /perm_map_exists[ws' Pws <-]; exists ws'; split=> //.
  split; first by rewrite -(perm_uniq Pws).
  by move=> u v; rewrite -!(perm_mem Pws); apply: pws.
elim: (sort geq ls) (sort_sorted tot ls) ls1 => [_ _|l s IH]; first by exists [::].
move=> ls_sorted; rewrite kraft_cons => s1.
have s_lt1 : kraft s < 1 by apply: lt_le_trans s1; rewrite ltr_addr exprn_gt0.
have [ws [uws pws] E] := IH (path_sorted ls_sorted) (ltW s_lt1).
have [w [wl /hasPn w_new]] : exists w, size w = l /\ ~~ has (fun c => prefix c w) ws.
  have [/existsP[w w_new]|all_cov] := boolP [exists w : l.-tuple bool, ~~ has (fun c => prefix c w) ws].
    by exists w; rewrite size_tuple.
  move: s_lt1; rewrite -E ltNge (@kraft_covered l) // => w /eqP wl.
  by move: all_cov; rewrite negb_exists => /forallP/(_ (Tuple wl)); rewrite negbK.
have short c : c \in ws -> (size c <= l)%N.
  move=> cws; have /allP := order_path_min tr ls_sorted; apply.
  by rewrite -E map_f.
have w_out c : c \in ws -> prefix w c -> w = c.
  move=> cws /prefixP[r Dc]; have := short _ cws.
  by rewrite Dc size_cat wl -{2}[l]addn0 leq_add2l leqn0 size_eq0 => /eqP->; rewrite cats0.
exists (w :: ws); last by rewrite /= wl E.
split=> [|u v]; first by rewrite /= uws andbT; apply/negP => /w_new; rewrite prefix_refl.
rewrite !inE => /orP[/eqP->|uws'] /orP[/eqP->|vws'] // uv; [exact: w_out | | exact: pws].
by have := w_new u uws'; rewrite uv.
Qed.

(** Uniquely decodable: two messages, sequences of codewords, that read the same are the same.  (The code of one symbol
    whose only word is empty is prefix-free, but by this definition not uniquely decodable: its messages all read the
    same.) *)
Definition uniquely_decodable (ws : seq (seq bool)) : Prop :=
  uniq ws /\ forall s t, {subset s <= ws} -> {subset t <= ws} -> flatten s = flatten t -> s = t.

(** All messages of n codewords. *)
Fixpoint messages (n : nat) (ws : seq (seq bool)) : seq (seq (seq bool)) :=
  if n is n'.+1 then [seq w :: s | w <- ws, s <- messages n' ws] else [:: [::]].

Lemma messages_sub n ws s : s \in messages n ws -> {subset s <= ws}.
Proof.
elim: n s => [|n IH] s /=; first by rewrite inE => /eqP->.
case/allpairsP=> -[w t] /= [wws /IH tws ->] v; rewrite inE => /orP[/eqP->|/tws] //.
Qed.

Lemma messages_uniq n ws : uniq ws -> uniq (messages n ws).
Proof.
by move=> uws; elim: n => //= n IH; apply: allpairs_uniq => // -[w s] [v t] _ _ [-> ->].
Qed.

Lemma kraft_messages n ws :
  kraft [seq size (flatten s) | s <- messages n ws] = kraft [seq size w | w <- ws] ^+ n.
Proof.
elim: n => [|n IH]; first by rewrite /kraft big_seq1.
rewrite exprS -IH /kraft !big_map big_allpairs_dep mulr_suml; apply: eq_bigr => w _ /=.
by rewrite mulr_sumr; apply: eq_bigr => s _; rewrite size_cat exprD.
Qed.

Lemma messages_size n ws s : s \in messages n ws ->
  (size (flatten s) <= n * \sum_(w <- ws) size w)%N.
Proof.
elim: n s => [|n IH] s /=; first by rewrite inE => /eqP->.
case/allpairsP=> -[w t] /= [wws /IH tws ->]; rewrite size_cat mulSn leq_add //.
by rewrite (big_rem _ wws) leq_addr.
Qed.

Lemma kraft_uniq B (ws : seq (seq bool)) : uniq ws -> all (fun w => size w <= B)%N ws ->
  kraft [seq size w | w <- ws] <= B.+1%:R.
Proof.
move=> uws wsB; rewrite /kraft big_map.
have -> : \sum_(w <- ws) 2%:R^-1 ^+ size w
    = \sum_(l < B.+1) \sum_(w <- ws | size w == l) 2%:R^-1 ^+ size w :> rat.
  rewrite (exchange_big_dep xpredT) //= big_seq [RHS]big_seq; apply: eq_bigr => w wws.
  by rewrite (big_pred1 (Ordinal (allP wsB w wws : size w < B.+1)%N)) // => l; rewrite eq_sym.
have -> : B.+1%:R = \sum_(l < B.+1) 1 :> rat by rewrite sumr_const card_ord.
apply: ler_sum => l _.
rewrite -big_filter -(big_map size xpredT); apply: kraft_inequality; split; first exact: filter_uniq.
move=> u v; rewrite !mem_filter => /andP[/eqP ul _] /andP[/eqP vl _].
by rewrite prefixE ul -vl take_size => /eqP.
Qed.

(** McMillan's theorem: Kraft's inequality holds for every uniquely decodable code. *)
Theorem mcmillan (ws : seq (seq bool)) :
  uniquely_decodable ws -> kraft [seq size w | w <- ws] <= 1.
Proof.
move=> [uws dec]; set K := kraft _; pose S := (\sum_(w <- ws) size w)%N.
have bound n : K ^+ n <= (n * S).+1%:R.
  rewrite -kraft_messages (map_comp size flatten); apply: kraft_uniq.
    rewrite map_inj_in_uniq ?messages_uniq // => s t /messages_sub ss /messages_sub ts.
    exact: dec.
  by rewrite all_map; apply/allP => s /messages_size.
have bernoulli (e : rat) n : 0 <= e -> 1 + e *+ n <= (1 + e) ^+ n.
  move=> e0; elim: n => [|n IH]; first by rewrite mulr0n addr0.
  rewrite exprS; apply: le_trans (ler_wpmul2l _ IH); last exact: addr_ge0.
  by rewrite mulrDr mulr1 mulrDl mul1r mulrS !addrA ler_addl mulr_ge0 ?mulrn_wge0.
rewrite leNgt; apply/negP => K1; pose e := K - 1.
have e0 : 0 < e by rewrite subr_gt0.
have KE : K = 1 + e by rewrite addrC subrK.
(* e^2 n <= 2 S for every n, so e = 0 *)
have le n : (0 < n)%N -> e ^+ 2 *+ n <= S.*2%:R.
  move=> n0; have x0 : 0 <= e *+ n by rewrite mulrn_wge0 ?ltW.
  have sq : 1 + (e *+ n) ^+ 2 <= (n * 2 * S).+1%:R.
    apply: le_trans (bound _); rewrite KE exprM.
    apply: le_trans (_ : (1 + e *+ n) ^+ 2 <= _).
      by rewrite sqrrD expr1n mul1r -addrA ler_add2l addrC ler_addl mulrn_wge0.
    have e_ge0 := ltW e0; apply: ler_expn2r; [exact: addr_ge0 | | exact: bernoulli].
    by apply/exprn_ge0/addr_ge0.
  move: sq; rewrite -[(n * 2 * S).+1]addn1 natrD addrC ler_add2r exprMn_n -mulnn mulrnA.
  by rewrite -mulnA mul2n mulnC natrM mulr_natr ler_pmuln2r.
have lt : S.*2%:R / e ^+ 2 < (Num.bound (S.*2%:R / e ^+ 2))%:R.
  by apply: archi_boundP; rewrite divr_ge0 ?exprn_ge0 ?ler0n ?(ltW e0).
set n := Num.bound _ in lt; have n0 : (0 < n)%N.
  rewrite -(ltr_nat [numDomainType of rat]); apply: le_lt_trans lt.
  by rewrite divr_ge0 ?exprn_ge0 ?ler0n ?(ltW e0).
move: lt; rewrite ltr_pdivr_mulr ?exprn_gt0 // mulrC mulr_natr => /lt_le_trans/(_ (le n n0)).
by rewrite ltxx.
Qed.

(** The sum in natural numbers. *)
Lemma kraft_nat M ls : all (fun l => l <= M)%N ls ->
  (kraft ls <= 1) = (\sum_(l <- ls) 2 ^ (M - l) <= 2 ^ M)%N.
Proof.
move=> lsM; have -> : kraft ls = (\sum_(l <- ls) 2 ^ (M - l))%N%:R / (2 ^ M)%:R.
  rewrite natr_sum mulr_suml; apply: eq_big_seq => l /(allP lsM) lM.
  rewrite !natrX -{2}(subnK lM) exprD invfM mulrA mulfV ?mul1r ?exprVn //.
  by rewrite expf_neq0.
by rewrite ler_pdivr_mulr ?mul1r ?ler_nat // ltr0n expn_gt0.
Qed.
