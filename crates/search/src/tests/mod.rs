//! What every engine has to do. Nothing here knows which one it is but [`embedded`] and [`opensearch`].
#![allow(clippy::duplicate_mod, reason = "the same tests are for both")]

mod ahead;
mod cluster;
mod million;
mod reference;

use std::time::Duration;

use chrono::{DateTime, Utc};
use farmlokal_catalog::{
    ChangePosition, Filter, Include, IndexRow, Limit, ListQuery, Order, Price, Product, SearchText, Sort,
};

use crate::{Engine, EngineError, Found, Language, Rebuild as _, SearchConfig, TantivyEngine};

#[path = "."]
mod embedded {
    use super::*;

    #[path = "finding.rs"]
    mod finding;
    #[path = "random.rs"]
    mod random;

    /// Histories that random tests try.
    const CASES: u32 = 96;

    #[expect(clippy::unnecessary_wraps, reason = "the other may not be there")]
    fn engine(synonyms: &str) -> Option<impl Engine + use<>> {
        Some(engine_with(512 << 20, synonyms))
    }

    #[tokio::test]
    async fn refuses_what_does_not_fit_in_memory() {
        let large = engine_with(512 << 20, "");
        fill(&large, vec![row(1, "Rice")]).await;
        assert!(large.memory() > 0);
        assert!(matches!(engine_with(1 << 20, "").rebuild().err(), Some(EngineError::TooLarge)));
    }
}

#[path = "."]
mod opensearch {
    use super::{cluster::Cluster, *};

    #[path = "finding.rs"]
    mod finding;
    #[path = "random.rs"]
    mod random;

    const CASES: u32 = 12;

    fn engine(synonyms: &str) -> Option<impl Engine + use<>> {
        Cluster::create(synonyms)
    }
}

fn engine_with(memory: u64, synonyms: &str) -> impl Engine + use<> {
    TantivyEngine::new(&SearchConfig { memory, ..config(synonyms) })
}

fn config(synonyms: &str) -> SearchConfig {
    let patient = Duration::from_secs(60);
    SearchConfig {
        url: None,
        tls_ca: None,
        wait: patient,
        memory: 512 << 20,
        threads: 2,
        queue: 64,
        deadline: patient,
        language: Language::ENGLISH,
        synonyms: Some(synonyms.parse().unwrap()),
        ready_timeout: patient,
        poll: patient,
    }
}

fn row(id: u64, name: &str) -> IndexRow {
    let created_at = time(i64::try_from(id).unwrap());
    let product = Product {
        id,
        name: name.to_owned(),
        description: String::new(),
        category: "Fruit".to_owned(),
        price: Price::from_cents(id * 100).unwrap(),
        created_at,
        updated_at: created_at,
    };
    IndexRow { product, name_key: name.to_lowercase().into_bytes() }
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap()
}

async fn fill(engine: &impl Engine, rows: Vec<IndexRow>) {
    let mut rebuild = engine.rebuild().unwrap();
    rebuild.add(rows).await.unwrap();
    rebuild.finish(&ChangePosition::default()).await.unwrap()();
}

async fn apply(engine: &impl Engine, changes: Vec<(u64, Option<IndexRow>)>) {
    engine.apply(changes, &ChangePosition::default()).await.unwrap();
}

fn searching(text: &str) -> ListQuery {
    let search = Some(SearchText::new(text).unwrap());
    let filter = Filter { search, ..Filter::default() };
    let all = Include { total: true, category_facet: true, price_facet: true, highlights: true };
    ListQuery::new(filter, None, None).unwrap().with_limit(Limit::MAX).with(all)
}

fn sorted(filter: Filter, sort: Option<Sort>, order: Option<Order>) -> ListQuery {
    let all = Include { total: true, category_facet: true, price_facet: true, highlights: false };
    ListQuery::new(filter, sort, order).unwrap().with(all)
}

async fn found(engine: &impl Engine, text: &str) -> Found {
    engine.search(&searching(text), None).await.unwrap()
}

/// The ids that a search finds, in their order.
async fn ids(engine: &impl Engine, text: &str) -> Vec<u64> {
    found(engine, text).await.matches.iter().map(|found| found.id).collect()
}
