(** Over the reals: the rate is the derivative of the potential, and the response is the derivative of the rate. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import boolp classical_sets functions reals topology normedtype derive realfun sequences exp.
From tokentree Require Import Mixture Response ThreeDatasets Rates.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory numFieldTopology.Exports numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Derivatives.

Variables (R : realType) (dataset leaf : finType) (m : mixture R dataset leaf) (t : dataset).

Lemma with_own_size : with_size (n m) t (n m t) = n m.
Proof. by apply/funext => i; rewrite /with_size; case: eqP => [->|]. Qed.

Let rest : R := \sum_(i | i != t) n m i.
Let rest_mass (x : leaf) : R := \sum_(i | i != t) n m i * p m i x.

Lemma total_with_size s : \sum_i with_size (n m) t s i = rest + s.
Proof.
rewrite (bigD1 t) //= {1}/with_size eqxx addrC; congr (_ + _).
by apply: eq_bigr => i /negbTE neq; rewrite /with_size neq.
Qed.

Lemma joint_with_size s x : joint_at (p m) (with_size (n m) t s) x = (rest_mass x + s * p m t x) / (rest + s).
Proof.
rewrite /joint_at total_with_size (bigD1 t) //= {1}/with_size eqxx addrC mulrDl mulr_suml; congr (_ + _).
  by apply: eq_bigr => i /negbTE neq; rewrite /with_size neq mulrAC.
by rewrite mulrAC.
Qed.

Lemma rest_total : rest + n m t = total_size m.
Proof. by rewrite -total_with_size with_own_size. Qed.

Lemma T_neq0 : total_size m != 0.
Proof. by rewrite gt_eqF // (total_size_gt0 m t). Qed.

Lemma joint_own x : (rest_mass x + n m t * p m t x) / (rest + n m t) = joint m x.
Proof. by rewrite -joint_with_size with_own_size. Qed.

Lemma is_derive_bigsum (index : finType) (f : index -> R -> R) (df : index -> R) (s : R) :
  (forall x, is_derive s 1 (f x) (df x)) -> is_derive s 1 (fun z => \sum_x f x z) (\sum_x df x).
Proof.
move=> each; elim: (index_enum index) => [|x r derived].
  by rewrite big_nil (_ : (fun z => _) = cst 0); [exact: is_derive_cst | apply/funext => z; rewrite big_nil].
rewrite big_cons (_ : (fun z => _) = f x + (fun z => \sum_(y <- r) f y z)); first exact: is_deriveD.
by apply/funext => z; rewrite big_cons.
Qed.

Lemma is_derive_affine (a b s : R) : is_derive s 1 (fun z => a + z * b) b.
Proof.
have : is_derive s 1 (cst a + b \*: id) (0 + b *: (1 : R)) by apply: is_deriveD.
rewrite add0r [b *: _]mulr1 => derived.
have -> : (fun z => a + z * b) = cst a + b \*: id; last by [].
by apply/funext => z; rewrite mulrC.
Qed.

(** dq(x) / dn_t = (p_t(x) - q(x)) / T. *)
Theorem joint_derivative x :
  is_derive (n m t) 1 (fun s => joint_at (p m) (with_size (n m) t s) x) ((p m t x - joint m x) / total_size m).
Proof.
have -> : (fun s => joint_at (p m) (with_size (n m) t s) x) =
          (fun s => rest_mass x + s * p m t x) * (fun s => (rest + s * 1)^-1).
  by apply/funext => s; rewrite joint_with_size -[X in X^-1]/(rest + s) -{2}[s]mulr1.
have total : rest + n m t * 1 = total_size m by rewrite mulr1 rest_total.
have inverse : is_derive (n m t) 1 (fun s => (rest + s * 1)^-1) (- total_size m ^- 2 *: (1 : R)).
  rewrite -total; apply: (@is_deriveV _ (fun s => rest + s * 1)); first by rewrite total T_neq0.
  exact: is_derive_affine.
have := is_deriveM (is_derive_affine (rest_mass x) (p m t x) (n m t)) inverse.
have -> // : (rest_mass x + n m t * p m t x) *: (- total_size m ^- 2 *: (1 : R)) + (rest + n m t * 1)^-1 *: p m t x
  = (p m t x - joint m x) / total_size m.
rewrite total -joint_own rest_total -![_ *: _]/(_ * _) mulr1 mulrBl addrC mulrC; congr (_ + _).
by rewrite mulrN -[total_size m ^- 2]/((total_size m * total_size m)^-1) invfM mulrA.
Qed.

Lemma joint_at_own x : joint_at (p m) (with_size (n m) t (n m t)) x = joint m x.
Proof. by rewrite with_own_size. Qed.

Lemma log_derivative x : 0 < joint m x ->
  is_derive (n m t) 1 (fun s => ln (joint_at (p m) (with_size (n m) t s) x))
    ((p m t x - joint m x) / total_size m / joint m x).
Proof.
move=> q_gt0; rewrite mulrC; apply: (@is_derive1_comp _ (@ln R)); last exact: joint_derivative.
by rewrite joint_at_own; apply: is_derive1_ln.
Qed.

Lemma rate_term_derivative i x :
  is_derive (n m t) 1 (fun s => p m i x * ln (joint_at (p m) (with_size (n m) t s) x))
    ((p m i x * p m t x / joint m x - p m i x) / total_size m).
Proof.
case: (eqVneq (joint m x) 0) => [q0 | q_neq0].
  rewrite (joint_eq0 i q0) !mul0r subrr mul0r (_ : (fun s => _) = cst 0); first exact: is_derive_cst.
  by apply/funext => s; rewrite mul0r.
have q_gt0 : 0 < joint m x by rewrite lt_def q_neq0 joint_ge0.
have := is_deriveZ (p m i x) (log_derivative q_gt0).
rewrite (_ : _ *: _ = (p m i x * p m t x / joint m x - p m i x) / total_size m) //.
rewrite -[_ *: _]/(_ * _) mulrAC mulrA; congr (_ / _).
by rewrite mulrBl mulrBr divff // mulr1 mulrA.
Qed.

(** The response is the derivative of the rate: dgamma_i / dn_t = R_it = (1 - S_it) / T, all other sizes fixed. *)
Theorem rate_derivative i :
  is_derive (n m t) 1 (fun s => rate_at (p m) (with_size (n m) t s) i) (response m i t).
Proof.
have := is_deriveN (is_derive_bigsum (rate_term_derivative i)).
rewrite (_ : - (\sum_x _) = response m i t) //.
by rewrite -mulr_suml sumrB mass_sum1 -mulNr opprB.
Qed.

Lemma joint_log_derivative x :
  is_derive (n m t) 1
    (fun s => joint_at (p m) (with_size (n m) t s) x * ln (joint_at (p m) (with_size (n m) t s) x))
    ((p m t x - joint m x) / total_size m * (ln (joint m x) + 1)).
Proof.
case: (eqVneq (joint m x) 0) => [q0 | q_neq0].
  rewrite q0 (joint_eq0 t q0) subrr !mul0r (_ : (fun s => _) = cst 0); first exact: is_derive_cst.
  apply/funext => s; rewrite /joint_at big1 ?mul0r // => i _.
  by rewrite (joint_eq0 i q0) mulr0.
have q_gt0 : 0 < joint m x by rewrite lt_def q_neq0 joint_ge0.
have := is_deriveM (joint_derivative x) (log_derivative q_gt0).
rewrite joint_at_own (_ : _ + _ = (p m t x - joint m x) / total_size m * (ln (joint m x) + 1)) //.
by rewrite -![_ *: _]/(_ * _) [joint m x * _]mulrC divfK // mulrDr mulr1 addrC [ln _ * _]mulrC.
Qed.

(** The rate is the derivative of the potential: gamma_t = dPhi / dn_t, all other sizes fixed. *)
Theorem potential_derivative :
  is_derive (n m t) 1 (fun s => potential_at (p m) (with_size (n m) t s)) (rate m t).
Proof.
have entropies := is_deriveN (is_derive_bigsum joint_log_derivative).
have derived := is_deriveM (is_derive_affine rest 1 (n m t)) entropies.
have -> : (fun s => potential_at (p m) (with_size (n m) t s)) =
    (fun s => rest + s * 1) * (fun s => entropy (joint_at (p m) (with_size (n m) t s))).
  by apply/funext => s; rewrite /potential_at total_with_size -{1}[s]mulr1.
apply: (is_derive_eq derived).
have term x : total_size m * ((p m t x - joint m x) / total_size m * (ln (joint m x) + 1)) =
    p m t x * ln (joint m x) - joint m x * ln (joint m x) + (p m t x - joint m x).
  by rewrite mulrA [total_size m * _]mulrC divfK ?T_neq0 // mulrDr mulr1 mulrBl.
have sum_terms : total_size m * (\sum_x (p m t x - joint m x) / total_size m * (ln (joint m x) + 1)) =
    \sum_x p m t x * ln (joint m x) - \sum_x joint m x * ln (joint m x).
  rewrite mulr_sumr (eq_bigr _ (fun x _ => term x)) big_split /= [X in _ + X]sumrB.
  by rewrite mass_sum1 (joint_sum1 m t) subrr addr0 sumrB.
rewrite -![_ *: _]/(_ * _) /= !mulr1 rest_total mulrN sum_terms.
rewrite (_ : (- _) (n m t) = - \sum_x joint m x * ln (joint m x)); last first.
  by congr (- _); apply: eq_bigr => x _; rewrite joint_at_own.
by rewrite opprB addrAC subrr add0r.
Qed.

(** The conservation law, as a derivative: sum_i n_i dgamma_i / dn_t = 0.  The weights n_i stand still while n_t
    moves in the rates. *)
Theorem conservation_law :
  is_derive (n m t) 1 (fun s => \sum_i n m i * rate_at (p m) (with_size (n m) t s) i) 0.
Proof.
have := is_derive_bigsum (fun i => is_deriveZ (n m i) (rate_derivative i)).
by rewrite (_ : \sum_i _ = 0) //; apply: balance.
Qed.

End Derivatives.

Section Theorem42.

Variables (R : realType) (leaf : finType) (m : mixture R role leaf).

(** Theorem 4.2's derivative: gamma_i' = dgamma_i / dl = n_a R_it, where n_t = l n_a and all other sizes are fixed. *)
Theorem dgamma_derivative i :
  is_derive (l_of m) 1 (fun l => rate_at (p m) (with_size (n m) Perturb (l * n m Align)) i) (dgamma m i).
Proof.
rewrite /dgamma mulrC; have na : n m Align != 0 by rewrite gt_eqF ?n_gt0.
have derived := is_derive_affine 0 (n m Align) (l_of m).
have -> : (fun l => rate_at (p m) (with_size (n m) Perturb (l * n m Align)) i) =
    (fun s => rate_at (p m) (with_size (n m) Perturb s) i) \o (fun l => 0 + l * n m Align).
  by apply/funext => l /=; rewrite add0r.
apply: is_derive1_comp derived; rewrite add0r /l_of divfK //.
exact: rate_derivative.
Qed.

End Theorem42.
