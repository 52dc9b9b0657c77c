//! Writes by those who have the right: batches of operations, all of which take effect in one transaction, or none.
//! `docs/webhook.md` has the rules for writes beside events.

mod apply;
mod idempotency;

use serde::{Deserialize, Serialize};

use crate::{Draft, Price, Product};

pub use idempotency::Idempotency;

/// Operations that take effect together.
pub struct Batch {
    /// 1 to [`MAX_OPERATIONS`](Batch::MAX_OPERATIONS), each of another product: the caller sees to that.
    pub operations: Vec<Operation>,
    /// Makes them take effect once, however often the batch is sent.
    pub idempotency: Option<Idempotency>,
}

impl Batch {
    /// The most operations of a batch.
    pub const MAX_OPERATIONS: usize = 1_000;
}

/// What is to be done to one product.
pub struct Operation {
    /// The change.
    pub action: Action,
    /// What must hold of the product for that, if anything.
    pub precondition: Option<Precondition>,
}

/// Says by the product as it is, `None` where it is not there, whether the operation may be done. It is called under the product's
/// lock, once for each attempt.
pub type Precondition = Box<dyn Fn(Option<&Product>) -> bool + Send + Sync>;

/// A change of one product. Ids are 1 to [`MAX_PRODUCT_ID`](crate::MAX_PRODUCT_ID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new product, with an id that no product has had.
    Create(Draft),
    /// The product with this id is as follows, new or not.
    Put(u64, Draft),
    /// Some of it is as follows.
    Patch(u64, Patch),
    /// It is gone.
    Delete(u64),
}

impl Action {
    /// The id of the product, where the sender says it.
    #[must_use]
    pub fn product(&self) -> Option<u64> {
        match self {
            Action::Create(_) => None,
            Action::Put(id, _) | Action::Patch(id, _) | Action::Delete(id) => Some(*id),
        }
    }
}

/// The fields of a product that change; the others stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// As [`Draft::name`].
    pub name: Option<String>,
    /// As [`Draft::description`].
    pub description: Option<String>,
    /// As [`Draft::category`].
    pub category: Option<String>,
    /// As [`Draft::price`].
    pub price: Option<Price>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Every operation has taken effect now: what each did, in their order.
    New(Vec<Done>),
    /// The batch had taken effect before: what it did then.
    Again(Vec<Done>),
    /// Nothing has changed: each operation that cannot be done, by its index, and why.
    Refused(Vec<(usize, Refusal)>),
    /// Nothing has changed: another with this idempotency key is under way.
    InFlight,
    /// Nothing has changed: another request with this idempotency key has taken effect.
    Conflict,
}

/// What an operation did. Products are as they were stored by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Done {
    /// There is a product that was not there.
    Created(Product),
    /// A product was replaced.
    Replaced(Product),
    /// Some of a product was replaced.
    Patched(Product),
    /// The product with this id was removed.
    Deleted(u64),
}

impl Done {
    /// The id of the product.
    #[must_use]
    pub fn product(&self) -> u64 {
        match self {
            Done::Created(product) | Done::Replaced(product) | Done::Patched(product) => product.id,
            Done::Deleted(id) => *id,
        }
    }

    /// A stable word.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Done::Created(_) => "created",
            Done::Replaced(_) => "replaced",
            Done::Patched(_) => "patched",
            Done::Deleted(_) => "deleted",
        }
    }
}

/// Why an operation cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such product to patch or to delete.
    NotFound,
    /// The product is not as its [`Precondition`] wants it.
    PreconditionFailed,
    /// The table has no id up to [`MAX_PRODUCT_ID`](crate::MAX_PRODUCT_ID) left to give.
    NoIdLeft,
}
