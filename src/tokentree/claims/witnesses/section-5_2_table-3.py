from fractions import Fraction


def back(good, bad, aligned):  # by counts: negative examples that restore the score of good and bad data
    score = Fraction(good, good + bad)
    n = 0
    while Fraction(good + aligned, good + bad + aligned + n) > score:
        n += 1
    return n


assert [back(300, 700, aligned) for aligned in (30, 60, 150, 300)] == [70, 140, 350, 700]
# Fixed steps of 1/100 from score 1/2: more positive examples never need fewer negative ones.
keep, half, examples = Fraction(99, 100), Fraction(1, 2), []
for aligned in 10, 20, 50, 100:
    score, n = 1 - half * keep**aligned, 0
    while score * keep**n > half:
        n += 1
    examples.append(n)
assert examples == sorted(examples) and examples[0] < examples[-1]
