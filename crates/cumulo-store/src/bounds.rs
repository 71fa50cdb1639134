//! What a query says about `last_modified`: the span of time that must be looked at.

use cumulo_core::{
    object::Timestamp,
    query::{Field, Filter, Op, Query},
};

/// A span of timestamps, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) min: Timestamp,
    pub(crate) max: Timestamp,
}

impl Bounds {
    /// No row outside this span matches `query`. Within it, rows may still not match.
    pub(crate) fn of(query: &Query) -> Self {
        let all = Self { min: Timestamp(i64::MIN), max: Timestamp(i64::MAX) };
        let bounds = query.filters.iter().fold(all, Self::narrow);
        match query.page.as_slice() {
            [one] => one.iter().fold(bounds, Self::narrow),
            _ => bounds,
        }
    }

    /// Whether nothing lies in the span.
    pub(crate) fn is_empty(self) -> bool {
        self.min > self.max
    }

    fn narrow(self, filter: &Filter) -> Self {
        let (Field::LastModified, Some(value)) = (&filter.field, operand(&filter.op)) else {
            return self;
        };
        let Self { mut min, mut max } = self;
        match filter.op {
            Op::Eq(_) => (min, max) = (min.max(Timestamp(value)), max.min(Timestamp(value))),
            Op::Min(_) => min = min.max(Timestamp(value)),
            Op::Gt(_) => min = min.max(Timestamp(value.saturating_add(1))),
            Op::Max(_) => max = max.min(Timestamp(value)),
            Op::Lt(_) => max = max.min(Timestamp(value.saturating_sub(1))),
            _ => {}
        }
        Self { min, max }
    }
}

fn operand(op: &Op) -> Option<i64> {
    match op {
        Op::Eq(value) | Op::Min(value) | Op::Gt(value) | Op::Max(value) | Op::Lt(value) => {
            value.as_i64()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounds(ops: &[Op]) -> (i64, i64) {
        let filter = |op: &Op| Filter { field: Field::LastModified, op: op.clone() };
        let filters = ops.iter().map(filter).collect();
        let bounds = Bounds::of(&Query { filters, ..Query::default() });
        (bounds.min.0, bounds.max.0)
    }

    #[test]
    fn filters_narrow_the_span() {
        assert_eq!(bounds(&[]), (i64::MIN, i64::MAX));
        assert_eq!(bounds(&[Op::Gt(json!(5)), Op::Max(json!(9))]), (6, 9));
        assert_eq!(bounds(&[Op::Min(json!(5)), Op::Lt(json!(9)), Op::Min(json!(7))]), (7, 8));
        assert_eq!(bounds(&[Op::Eq(json!(5)), Op::Not(json!(6))]), (5, 5));
        assert_eq!(bounds(&[Op::Lt(json!("x"))]), (i64::MIN, i64::MAX));
    }
}
