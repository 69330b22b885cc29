(** Coq's [field] tactic for mathcomp's ordered fields: a tool of the proofs, no theorem. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Coq Require Export Field.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Operations.
Variable R : realFieldType.
Definition fzero : R := 0.
Definition fone : R := 1.
Definition fadd (x y : R) : R := x + y.
Definition fmul (x y : R) : R := x * y.
Definition fopp (x : R) : R := - x.
Definition fsub (x y : R) : R := x - y.
Definition finv (x : R) : R := x^-1.
Definition fdiv (x y : R) : R := x / y.

Lemma real_field_theory : field_theory fzero fone fadd fmul fsub fopp fdiv finv eq.
Proof.
split=> //; first split=> //.
- exact: add0r.
- exact: addrC.
- exact: addrA.
- exact: mul1r.
- exact: mulrC.
- exact: mulrA.
- exact: mulrDl.
- exact: subrr.
- exact/eqP/oner_neq0.
- by move=> x /eqP x0; rewrite /fmul /finv mulVf.
Qed.
End Operations.

(** [field_in R]: one form for all operations of the goal, then [field].
    Needs [Add Field F : (real_field_theory R)]. *)
Ltac field_in R :=
  rewrite ?mulr2n ?expr2;
  match goal with |- @eq _ ?a ?b => change (@eq (Num.RealField.sort R) a b) end;
  repeat match goal with
  | |- context [@GRing.add ?V ?a ?b] => change (@GRing.add V a b) with (@fadd R a b)
  | |- context [@GRing.mul ?V ?a ?b] => change (@GRing.mul V a b) with (@fmul R a b)
  | |- context [@GRing.opp ?V ?a] => change (@GRing.opp V a) with (@fopp R a)
  | |- context [@GRing.inv ?V ?a] => change (@GRing.inv V a) with (@finv R a)
  | |- context [GRing.one ?V] => change (GRing.one V) with (@fone R)
  | |- context [GRing.zero ?V] => change (GRing.zero V) with (@fzero R)
  end; field; try exact/eqP; repeat split; try exact/eqP.
