(** The potential Phi(n) = inf F_n of any class of models: concave, homogeneous of degree 1, and the rates are its
    supergradient.  No smoothness, and no minimiser unless it is named: that Phi(n) = phi is said as "phi is the
    greatest lower bound of F_n", so every statement is about the sizes where the infimum is finite. *)

From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import FiniteChanges.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Potential.

Variables (R : realFieldType) (dataset : finType) (model : Type) (L : dataset -> model -> R).
Implicit Types (n : dataset -> R) (theta : model) (phi : R).

(** Phi(n) = phi: phi is the infimum of F_n, its greatest lower bound over all models. *)
Definition potential_is n phi : Prop :=
  (forall theta, phi <= total_loss L n theta) /\
  (forall bound, (forall theta, bound <= total_loss L n theta) -> bound <= phi).

Lemma total_loss_combination (a b : R) n n' theta :
  total_loss L (fun i => a * n i + b * n' i) theta = a * total_loss L n theta + b * total_loss L n' theta.
Proof. by rewrite !mulr_sumr -big_split; apply: eq_bigr => i _; rewrite mulrDl !mulrA. Qed.

Lemma total_loss_scaled (a : R) n theta :
  total_loss L (fun i => a * n i) theta = a * total_loss L n theta.
Proof. by rewrite mulr_sumr; apply: eq_bigr => i _; rewrite mulrA. Qed.

(** There is one infimum at most, so Phi is a function of the sizes. *)
Lemma potential_unique n phi phi' : potential_is n phi -> potential_is n phi' -> phi = phi'.
Proof. by case=> low great [low' great']; apply: le_anti; rewrite great' ?great. Qed.

(** If theta minimises F_n, then n . gamma = Phi(n) for its rates gamma (Euler's identity). *)
Theorem euler n theta : minimiser L n theta -> potential_is n (dot n (rates L theta)).
Proof. by move=> optimal; split=> [other | bound]; [apply: optimal | apply]. Qed.

(** The converse: where n . gamma = Phi(n), the model is a minimiser. *)
Theorem euler_only_for_minimisers n theta : potential_is n (dot n (rates L theta)) -> minimiser L n theta.
Proof. by case=> low _ other; apply: low. Qed.

(** Phi is concave: a Phi(n) + b Phi(n') <= Phi(a n + b n') for a, b >= 0.  (With a + b = 1 this is concavity; without
    it, Phi is superadditive too.) *)
Theorem potential_concave (a b : R) n n' phi phi' phi_between :
  0 <= a -> 0 <= b ->
  potential_is n phi -> potential_is n' phi' -> potential_is (fun i => a * n i + b * n' i) phi_between ->
  a * phi + b * phi' <= phi_between.
Proof.
move=> a_ge0 b_ge0 [low _] [low' _] [_ greatest]; apply: greatest => theta.
by rewrite total_loss_combination ler_add // ler_wpmul2l.
Qed.

(** Phi is homogeneous of degree 1: Phi(a n) = a Phi(n) for a > 0. *)
Theorem potential_homogeneous (a : R) n phi :
  0 < a -> potential_is n phi -> potential_is (fun i => a * n i) (a * phi).
Proof.
move=> a_gt0 [low greatest]; split=> [theta | bound lower].
  by rewrite total_loss_scaled ler_pmul2l.
rewrite -ler_pdivr_mull //; apply: greatest => theta.
by rewrite ler_pdivr_mull // -total_loss_scaled.
Qed.

(** The rates are a supergradient of Phi: if theta minimises F_n, then Phi(n') <= Phi(n) + gamma . (n' - n) for all
    sizes n'. *)
Theorem rates_supergradient n n' theta phi phi' :
  minimiser L n theta -> potential_is n phi -> potential_is n' phi' ->
  phi' <= phi + dot (change n n') (rates L theta).
Proof.
move=> /euler optimal potential [low' _].
by rewrite (potential_unique potential optimal) dotBl addrC subrK; apply: low'.
Qed.

End Potential.
