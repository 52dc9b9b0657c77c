//! The statements that draw a sample.

use crate::statement::{Kind, Statement, Value};

/// The lowest and the highest id: nothing, if there is no product.
pub(crate) fn ends() -> Statement<'static> {
    let mut statement = Statement::select(Kind::Sample);
    statement.push("MIN(id), MAX(id) FROM products FORCE INDEX (PRIMARY)");
    statement
}

/// How many products there are, as the optimiser sees it.
pub(crate) fn count() -> Statement<'static> {
    let mut statement = Statement::explain(Kind::Sample);
    statement.push("id FROM products FORCE INDEX (PRIMARY)");
    statement
}

/// Those of the ids that are a product's.
pub(crate) fn products(ids: &[u64]) -> Statement<'static> {
    let mut statement = Statement::select(Kind::Sample);
    statement.push("id, category, price, created_at, WEIGHT_STRING(name AS CHAR(16)) FROM products FORCE INDEX (PRIMARY) WHERE id IN (");
    for (nth, id) in ids.iter().enumerate() {
        statement.push(if nth == 0 { "" } else { ", " }).bind(Value::Number(*id));
    }
    statement.push(")");
    statement
}
