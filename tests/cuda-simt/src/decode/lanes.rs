//! Steps made of a function of one lane.

use super::operands::Operands;
use crate::registers::{LANES, Lane};
use crate::step::Step;
use crate::types::Type;

/// `d = f(a)`
pub(super) fn unary<A: Lane + 'static, R: Lane + 'static>(
    operands: &mut Operands<'_>,
    kind: Type,
    f: impl Fn(A) -> R + Send + Sync + 'static,
) -> Result<Option<Step>, String> {
    let (d, a) = (operands.destination(0)?, operands.source(1, kind)?);
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let a = registers.read::<A>(a);
        registers.write(d, &a.map(&f), mask);
    }))))
}

/// `d = f(a, b)`, where the types of both are given: that of a count may differ.
pub(super) fn binary<A: Lane + 'static, B: Lane + 'static, R: Lane + 'static>(
    operands: &mut Operands<'_>,
    kinds: [Type; 2],
    f: impl Fn(A, B) -> R + Send + Sync + 'static,
) -> Result<Option<Step>, String> {
    let d = operands.destination(0)?;
    let (a, b) = (operands.source(1, kinds[0])?, operands.source(2, kinds[1])?);
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let (a, b) = (registers.read::<A>(a), registers.read::<B>(b));
        let values: [R; LANES] = std::array::from_fn(|lane| f(a[lane], b[lane]));
        registers.write(d, &values, mask);
    }))))
}

/// `d = f(a, b, c)`
pub(super) fn ternary<A: Lane + 'static, B: Lane + 'static, C: Lane + 'static, R: Lane + 'static>(
    operands: &mut Operands<'_>,
    kinds: [Type; 3],
    f: impl Fn(A, B, C) -> R + Send + Sync + 'static,
) -> Result<Option<Step>, String> {
    let d = operands.destination(0)?;
    let (a, b, c) = (operands.source(1, kinds[0])?, operands.source(2, kinds[1])?, operands.source(3, kinds[2])?);
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let (a, b, c) = (registers.read::<A>(a), registers.read::<B>(b), registers.read::<C>(c));
        let values: [R; LANES] = std::array::from_fn(|lane| f(a[lane], b[lane], c[lane]));
        registers.write(d, &values, mask);
    }))))
}
