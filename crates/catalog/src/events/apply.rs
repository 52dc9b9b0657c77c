//! The transaction of an event.

use chrono::{DateTime, Utc};
use sqlx::{MySqlConnection, Row as _};

use super::version::{Effect, Stamp, Version};
use super::{Change, Event, Outcome, Receipt};
use crate::{
    Catalog, Draft, Error,
    error::is_duplicate_key,
    statement::Kind,
    transaction::{End, Transact, raise_counter, store_products},
};

impl Catalog {
    /// Lets an event take effect, unless it has before: its row in the inbox and its effect on the product are one
    /// transaction. Safe to call again, whatever happened to the call before: a lost connection, a killed process.
    ///
    /// # Errors
    /// [`Error::Deadline`] after [`CatalogConfig::write_deadline`](crate::CatalogConfig::write_deadline), and what
    /// every call may meet. Whether the event has taken effect is then unknown.
    pub async fn apply(&self, event: &Event) -> Result<Receipt, Error> {
        self.transact(event).await
    }
}

/// The row of the product's version is locked first, so that all events of one product queue there, duplicates among
/// them. The row in the inbox comes when the outcome is clear: a duplicate rolls everything back.
impl Transact for Event {
    type Outcome = Receipt;
    const KIND: Kind = Kind::Event;

    fn is_idempotent(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut MySqlConnection) -> Result<End<Receipt>, sqlx::Error> {
        let mut version = lock_version(connection, self).await?;
        let effect = version.take(self);
        let outcome = change_product(connection, self, &version, effect).await?;
        match insert_into_inbox(connection, self, outcome).await {
            Err(error) if is_duplicate_key(&error) => {
                return Ok(End::RollBack(earlier(connection, self).await?));
            }
            inserted => inserted?,
        }
        let is_changed = outcome == Outcome::Applied;
        if is_changed {
            raise_counter(connection).await?;
        }
        if outcome != Outcome::Superseded {
            store_version(connection, self, version, is_changed).await?;
        }
        Ok(End::Commit(Receipt::New(outcome)))
    }
}

/// A lock on a missing row excludes no other transaction, so the row is made.
async fn lock_version(connection: &mut MySqlConnection, event: &Event) -> Result<Version, sqlx::Error> {
    loop {
        if let Some(version) = locked_version(connection, event.product).await? {
            return Ok(version);
        }
        let insert = sqlx::query("INSERT INTO product_versions (product_id, newest_at) VALUES (?, ?)");
        match insert.bind(event.product).bind(Stamp::of(event).at).execute(&mut *connection).await {
            Ok(_) => return Ok(Version::default()),
            // Another event of this product was quicker.
            Err(error) if is_duplicate_key(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn locked_version(
    connection: &mut MySqlConnection,
    product: u64,
) -> Result<Option<Version>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT content_at, content_event, price_at, price_event, price FROM product_versions \
         WHERE product_id = ? FOR UPDATE",
    )
    .bind(product)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let stamp = |at: Option<DateTime<Utc>>, event: Option<String>| Some(Stamp { at: at?, event: event? });
    Ok(Some(Version {
        content: stamp(row.try_get("content_at")?, row.try_get("content_event")?),
        price: stamp(row.try_get("price_at")?, row.try_get("price_event")?).zip(row.try_get("price")?),
    }))
}

/// With the position of the change, where the product has changed.
async fn store_version(
    connection: &mut MySqlConnection,
    event: &Event,
    version: Version,
    is_changed: bool,
) -> Result<(), sqlx::Error> {
    let (content_at, content_event) = version.content.map(|stamp| (stamp.at, stamp.event)).unzip();
    let (stamp, price) = version.price.unzip();
    let (price_at, price_event) = stamp.map(|stamp| (stamp.at, stamp.event)).unzip();
    sqlx::query(
        "UPDATE product_versions \
         SET content_at = ?, content_event = ?, price_at = ?, price_event = ?, price = ?, \
         newest_at = GREATEST(newest_at, ?), slot = IF(?, 1 + MOD(CONNECTION_ID(), 64), slot), \
         change_number = IF(?, LAST_INSERT_ID(), change_number) WHERE product_id = ?",
    )
    .bind(content_at)
    .bind(content_event)
    .bind(price_at)
    .bind(price_event)
    .bind(price)
    .bind(Stamp::of(event).at)
    .bind(is_changed)
    .bind(is_changed)
    .bind(event.product)
    .execute(connection)
    .await?;
    Ok(())
}

async fn change_product(
    connection: &mut MySqlConnection,
    event: &Event,
    version: &Version,
    effect: Effect,
) -> Result<Outcome, sqlx::Error> {
    match (effect, &event.change) {
        (Effect::Store(price), Change::Upsert(draft)) => {
            let draft = Draft { price, ..draft.clone() };
            store_products(connection, &[(event.product, &draft)]).await?;
            Ok(Outcome::Applied)
        }
        (Effect::SetPrice(price), _) => {
            let done = sqlx::query("UPDATE products SET price = ? WHERE id = ?")
                .bind(price)
                .bind(event.product)
                .execute(connection)
                .await?;
            // Rows found, whether or not their price was another one. One that was deleted since gets no price.
            Ok(match done.rows_affected() {
                0 if version.has_newer_content(&Stamp::of(event)) => Outcome::Superseded,
                0 => Outcome::Deferred,
                _ => Outcome::Applied,
            })
        }
        (Effect::Remove, _) => {
            sqlx::query("DELETE FROM products WHERE id = ?").bind(event.product).execute(connection).await?;
            Ok(Outcome::Applied)
        }
        (Effect::None | Effect::Store(_), _) => Ok(Outcome::Superseded),
    }
}

async fn insert_into_inbox(
    connection: &mut MySqlConnection,
    event: &Event,
    outcome: Outcome,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO webhook_events (event_id, payload_hash, event_type, product_id, occurred_at, outcome) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&event.id)
    .bind(&event.payload_hash[..])
    .bind(event.change.label())
    .bind(event.product)
    .bind(Stamp::of(event).at)
    .bind(outcome.label())
    .execute(connection)
    .await?;
    Ok(())
}

/// What became of the event that had this id first.
async fn earlier(connection: &mut MySqlConnection, event: &Event) -> Result<Receipt, sqlx::Error> {
    let row = sqlx::query("SELECT payload_hash, outcome FROM webhook_events WHERE event_id = ?")
        .bind(&event.id)
        .fetch_one(connection)
        .await?;
    let (hash, outcome): (Vec<u8>, String) = (row.try_get("payload_hash")?, row.try_get("outcome")?);
    if hash != event.payload_hash {
        return Ok(Receipt::Conflict);
    }
    let outcome = Outcome::of(&outcome);
    outcome.map(Receipt::Duplicate).ok_or_else(|| sqlx::Error::Decode("an outcome that is not known".into()))
}
