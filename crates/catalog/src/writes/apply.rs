//! The transaction of a batch.

use std::{borrow::Cow, collections::HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow as _, MySql, MySqlConnection, QueryBuilder, Row as _};

use super::{Action, Batch, Done, Operation, Patch, Refusal, Written};
use crate::{
    Catalog, Draft, Error, MAX_PRODUCT_ID, Price, Product, plan,
    statement::Kind,
    transaction::{End, Transact, parts, raise_counter, store_products},
};

/// Where events have their id. Of all that occurred in one microsecond, a write comes last: no id of an event is greater that begins
/// with a letter or a digit.
const WRITE: &str = "~write";

impl Catalog {
    /// Lets a batch take effect: all of it in one transaction, or nothing. A batch with an [`Idempotency`](super::Idempotency) is
    /// safe to send again, whatever happened to the call before: a lost connection, a killed process.
    ///
    /// # Errors
    /// [`Error::Deadline`] after [`CatalogConfig::write_deadline`](crate::CatalogConfig::write_deadline), and what
    /// every call may meet. Whether the batch has taken effect is then unknown.
    pub async fn write(&self, batch: &Batch) -> Result<Written, Error> {
        self.transact(batch).await
    }
}

impl Transact for Batch {
    type Outcome = Written;
    const KIND: Kind = Kind::Write;

    fn is_idempotent(&self) -> bool {
        self.idempotency.is_some()
    }

    async fn run(&self, connection: &mut MySqlConnection) -> Result<End<Written>, sqlx::Error> {
        if let Some(idempotency) = &self.idempotency
            && let Some(earlier) = idempotency.claim(connection).await?
        {
            return Ok(End::RollBack(earlier));
        }
        let mut ids: Vec<_> =
            self.operations.iter().filter_map(|operation| operation.action.product()).collect();
        // Whoever locks several locks them in this order, so that two batches do not wait for each other.
        ids.sort_unstable();
        ids.dedup();
        let mut locked = lock(connection, &ids).await?;
        let mut effects = match effects(&self.operations, &locked) {
            Ok(effects) => effects,
            Err(refused) => return Ok(End::RollBack(Written::Refused(refused))),
        };
        store(connection, &effects, &mut locked).await?;
        let refused = create(connection, &mut effects, &mut locked).await?;
        if !refused.is_empty() {
            return Ok(End::RollBack(Written::Refused(refused)));
        }
        let done = effects.iter().map(|effect| effect.done(&locked)).collect::<Result<Vec<_>, _>>()?;
        if let Some(idempotency) = &self.idempotency {
            idempotency.keep(connection, &done).await?;
        }
        raise_counter(connection).await?;
        store_versions(connection, &effects, &locked).await?;
        Ok(End::Commit(Written::New(done)))
    }
}

/// What an operation does to its product's row.
enum Effect<'b> {
    /// Write this, under an id that the database gives where there is none.
    Store { id: Option<u64>, draft: Cow<'b, Draft>, sets_price: bool, done: fn(Product) -> Done },
    /// Remove the row.
    Remove(u64),
}

/// A product whose version is locked.
struct Locked {
    /// Its row, where there is one.
    product: Option<Product>,
    /// The place of this write in the order: now, and after all that there was.
    stamp: DateTime<Utc>,
}

/// What the operations do, or each that cannot be done.
fn effects<'b>(
    operations: &'b [Operation],
    locked: &HashMap<u64, Locked>,
) -> Result<Vec<Effect<'b>>, Vec<(usize, Refusal)>> {
    let (mut effects, mut refused) = (Vec::new(), Vec::new());
    for (index, operation) in operations.iter().enumerate() {
        let product = operation.action.product().and_then(|id| locked.get(&id)?.product.as_ref());
        match operation.effect(product) {
            Ok(effect) => effects.push(effect),
            Err(refusal) => refused.push((index, refusal)),
        }
    }
    if refused.is_empty() { Ok(effects) } else { Err(refused) }
}

impl Operation {
    fn effect(&self, product: Option<&Product>) -> Result<Effect<'_>, Refusal> {
        let effect = match (&self.action, product) {
            // It comes before preconditions: https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
            (Action::Patch(..) | Action::Delete(_), None) => return Err(Refusal::NotFound),
            (Action::Create(draft), _) => {
                Effect::Store { id: None, draft: Cow::Borrowed(draft), sets_price: true, done: Done::Created }
            }
            (Action::Put(id, draft), product) => {
                let done = if product.is_some() { Done::Replaced } else { Done::Created };
                Effect::Store { id: Some(*id), draft: Cow::Borrowed(draft), sets_price: true, done }
            }
            (Action::Patch(id, patch), Some(product)) => Effect::Store {
                id: Some(*id),
                draft: Cow::Owned(patch.applied_to(product)),
                sets_price: patch.price.is_some(),
                done: Done::Patched,
            },
            (Action::Delete(id), Some(_)) => Effect::Remove(*id),
        };
        let may_be_done = self.precondition.as_ref().is_none_or(|holds| holds(product));
        if may_be_done { Ok(effect) } else { Err(Refusal::PreconditionFailed) }
    }
}

impl Patch {
    fn applied_to(&self, product: &Product) -> Draft {
        let text = |new: &Option<String>, old: &String| new.as_ref().unwrap_or(old).clone();
        Draft {
            name: text(&self.name, &product.name),
            description: text(&self.description, &product.description),
            category: text(&self.category, &product.category),
            price: self.price.unwrap_or(product.price),
        }
    }
}

impl Effect<'_> {
    /// What it did, from the rows as they are now.
    ///
    /// # Errors
    /// The row is not there.
    fn done(&self, locked: &HashMap<u64, Locked>) -> Result<Done, sqlx::Error> {
        match self {
            Effect::Remove(id) => Ok(Done::Deleted(*id)),
            Effect::Store { id, done, .. } => {
                let stored = id.and_then(|id| locked.get(&id)?.product.clone());
                stored.map(done).ok_or(sqlx::Error::RowNotFound)
            }
        }
    }
}

/// Locks the versions of products, which are in ascending order, and reads their rows.
///
/// Missing versions are made: a lock on a missing row excludes no other transaction.
async fn lock(connection: &mut MySqlConnection, ids: &[u64]) -> Result<HashMap<u64, Locked>, sqlx::Error> {
    for ids in parts(ids) {
        let mut insert = QueryBuilder::<MySql>::new("INSERT INTO product_versions (product_id, newest_at) ");
        insert.push_values(ids, |mut row, id| {
            row.push_bind(id).push("UTC_TIMESTAMP(6)");
        });
        insert.push(" ON DUPLICATE KEY UPDATE newest_at = newest_at");
        insert.build().execute(&mut *connection).await?;
    }
    let mut locked = HashMap::with_capacity(ids.len());
    for ids in parts(ids) {
        // SYSDATE is read after the wait for the locks; UTC_TIMESTAMP would be the start of the statement.
        let mut select = QueryBuilder::<MySql>::new(
            "SELECT id, name, description, category, products.price, created_at, updated_at, \
             product_id, newest_at, SYSDATE(6) FROM product_versions FORCE INDEX (PRIMARY) \
             LEFT JOIN products FORCE INDEX (PRIMARY) ON id = product_id WHERE product_id IN (",
        );
        push_ids(&mut select, ids).push(") FOR UPDATE");
        for row in select.build().fetch_all(&mut *connection).await? {
            let is_there = row.try_get::<Option<u64>, _>(0)?.is_some();
            let product = is_there.then(|| Product::from_row(&row)).transpose()?;
            let (newest, now): (DateTime<Utc>, DateTime<Utc>) = (row.try_get(8)?, row.try_get(9)?);
            let stamp = now.max(newest + TimeDelta::microseconds(1));
            locked.insert(row.try_get(7)?, Locked { product, stamp });
        }
    }
    Ok(locked)
}

fn push_ids<'q>(statement: &'q mut QueryBuilder<MySql>, ids: &[u64]) -> &'q mut QueryBuilder<MySql> {
    let mut list = statement.separated(",");
    for id in ids {
        list.push_bind(id);
    }
    statement
}

/// Stores and removes the products that have ids, and reads what was stored.
async fn store(
    connection: &mut MySqlConnection,
    effects: &[Effect<'_>],
    locked: &mut HashMap<u64, Locked>,
) -> Result<(), sqlx::Error> {
    let (mut stored, mut removed) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Store { id, draft, .. } => stored.extend(id.map(|id| (id, &**draft))),
            Effect::Remove(id) => removed.push(*id),
        }
    }
    store_products(connection, &stored).await?;
    for ids in parts(&removed) {
        let mut delete = QueryBuilder::<MySql>::new("DELETE FROM products WHERE id IN (");
        push_ids(&mut delete, ids).push(")");
        delete.build().execute(&mut *connection).await?;
    }
    let ids: Vec<_> = stored.iter().map(|(id, _)| *id).collect();
    for ids in parts(&ids) {
        let mut select = QueryBuilder::<MySql>::new("SELECT ");
        select.push(plan::COLUMNS).push(" FROM products FORCE INDEX (PRIMARY) WHERE id IN (");
        push_ids(&mut select, ids).push(")");
        for row in select.build().fetch_all(&mut *connection).await? {
            let product = Product::from_row(&row)?;
            if let Some(locked) = locked.get_mut(&product.id) {
                locked.product = Some(product);
            }
        }
    }
    Ok(())
}

/// Stores the products that are to get an id, and locks and reads them. Each that gets none is refused.
///
/// The ids of one INSERT of a known number of rows follow each other, in every mode of `innodb_autoinc_lock_mode`, by the step of
/// the session: <https://dev.mysql.com/doc/refman/8.4/en/innodb-auto-increment-handling.html>.
async fn create(
    connection: &mut MySqlConnection,
    effects: &mut [Effect<'_>],
    locked: &mut HashMap<u64, Locked>,
) -> Result<Vec<(usize, Refusal)>, sqlx::Error> {
    let mut created = Vec::new();
    for (index, effect) in effects.iter_mut().enumerate() {
        if let Effect::Store { id: id @ None, draft, .. } = effect {
            created.push((index, id, &**draft));
        }
    }
    if created.is_empty() {
        return Ok(Vec::new());
    }
    let step: u64 = if created.len() == 1 {
        1
    } else {
        let step = "SELECT CAST(@@SESSION.auto_increment_increment AS UNSIGNED)";
        sqlx::query_scalar(step).fetch_one(&mut *connection).await?
    };
    let mut ids = Vec::with_capacity(created.len());
    for part in parts(&created) {
        let mut insert =
            QueryBuilder::<MySql>::new("INSERT INTO products (name, description, category, price) ");
        insert.push_values(part, |mut row, (_, _, draft)| {
            row.push_bind(&draft.name).push_bind(&draft.description).push_bind(&draft.category);
            row.push_bind(draft.price);
        });
        let first = insert.build().execute(&mut *connection).await?.last_insert_id();
        ids.extend((first..).step_by(usize::try_from(step).unwrap_or(1)).take(part.len()));
    }
    let given = created.iter().zip(&ids);
    let refused: Vec<_> = given
        .filter(|(_, id)| **id > MAX_PRODUCT_ID)
        .map(|((index, ..), _)| (*index, Refusal::NoIdLeft))
        .collect();
    if !refused.is_empty() {
        return Ok(refused);
    }
    for ((_, id, _), given) in created.into_iter().zip(&ids) {
        *id = Some(*given);
    }
    locked.extend(lock(connection, &ids).await?);
    Ok(refused)
}

/// Stores the versions with the position of this change. No event from before it changes any more what the product is; nor what
/// it costs, unless only texts were written.
async fn store_versions(
    connection: &mut MySqlConnection,
    effects: &[Effect<'_>],
    locked: &HashMap<u64, Locked>,
) -> Result<(), sqlx::Error> {
    let versions: Vec<(u64, DateTime<Utc>, Option<Price>)> = effects
        .iter()
        .filter_map(|effect| {
            let (id, price) = match effect {
                Effect::Store { id, draft, sets_price, .. } => ((*id)?, sets_price.then_some(draft.price)),
                Effect::Remove(id) => (*id, None),
            };
            Some((id, locked.get(&id)?.stamp, price))
        })
        .collect();
    for versions in parts(&versions) {
        let mut insert = QueryBuilder::<MySql>::new(
            "INSERT INTO product_versions (product_id, content_at, content_event, price_at, price_event, price, \
             newest_at, slot, change_number) ",
        );
        insert.push_values(versions, |mut row, (id, stamp, price)| {
            row.push_bind(id).push_bind(stamp).push_bind(WRITE);
            row.push_bind(price.map(|_| stamp)).push_bind(price.map(|_| WRITE)).push_bind(price);
            row.push_bind(stamp).push("1 + MOD(CONNECTION_ID(), 64)").push("LAST_INSERT_ID()");
        });
        insert.push(
            " ON DUPLICATE KEY UPDATE content_at = VALUES(content_at), content_event = VALUES(content_event), \
             price_at = COALESCE(VALUES(price_at), price_at), \
             price_event = COALESCE(VALUES(price_event), price_event), price = COALESCE(VALUES(price), price), \
             newest_at = VALUES(newest_at), slot = VALUES(slot), change_number = VALUES(change_number)",
        );
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}
