from fractions import Fraction


def fall(bad, good, aligned):  # of the score at the first negative example, by counts; D_p has bad and good
    before = Fraction(good + aligned, bad + good + aligned)
    return before - Fraction(good + aligned, bad + good + aligned + 1)


assert fall(900, 100, 200) > fall(900, 100, 100)  # scores 1/4 and 2/11, below 1/2: more is faster
assert fall(100, 900, 200) < fall(100, 900, 100)  # above 1/2: more is slower
step = Fraction(1, 1000)  # fixed steps: the fall is the step times the score


def score(start, n):
    return 1 - (1 - start) * (1 - step) ** n


assert step * score(Fraction(1, 2), 200) > step * score(Fraction(1, 2), 100)
