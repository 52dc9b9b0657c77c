//! Random products, changes and queries, beside brute force, in two engines with different histories.

use std::collections::BTreeMap;

use farmlokal_catalog::{
    Categories, Category, Cursor, Filter, IndexRow, Limit, ListQuery, Order, Price, PriceRange, Product,
    SearchText, Sort,
};
use proptest::{prelude::*, sample::select};

use super::{apply, engine, fill, reference::Reference, sorted, time};
use crate::{Engine, Found, Language, analysis::Analysis};

const NAME_WORDS: &[&str] = &[
    "tomato",
    "tomatoes",
    "Tomaten",
    "red",
    "Reds",
    "organic",
    "Organik",
    "1kg",
    "1",
    "kg",
    "2L",
    "XL",
    "crème",
    "strawberry",
    "strawberries",
    "blackberry",
    "rice",
    "Reis",
    "北京大米",
    "大米",
    "टमाटर",
    "ข้าวหอมมะลิ",
    "🍅",
    "farmer's",
    "ß",
    "potato",
    "potatos",
    "lentils",
    "cherries",
];
const SEARCHED: &[&str] = &[
    "tomato",
    "tomatos",
    "tomt",
    "toma",
    "red",
    "organic",
    "orgnic",
    "1kg",
    "1",
    "k",
    "2l",
    "2",
    "x",
    "creme",
    "strawbery",
    "strewbarry",
    "blackberries",
    "rice",
    "ri",
    "大米",
    "京大",
    "टमाटर",
    "टमटर",
    "ข้าว",
    "🍅",
    "farmer",
    "ss",
    "potatoe",
    "potao",
    "lentl",
    "lentls",
    "chery",
    "zzz",
    "北京大朱",
];
const CATEGORIES: &[&str] = &["Fruit", "Vegetables", "Dairy", "Brot & Käse"];

fn text(words: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(select(words), 0..=most).prop_map(|words| words.join(" "))
}

fn price() -> impl Strategy<Value = u64> {
    prop_oneof![select(vec![0, 999, 1_000, 1_001, 4_999, 5_000, 100_000, 9_999_999_999]), 0..20_000_u64]
}

fn name_key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(select(vec![0_u8, 1, 97, 98, 255]), 0..10)
}

fn product(id: u64) -> impl Strategy<Value = IndexRow> {
    (text(NAME_WORDS, 4), text(NAME_WORDS, 5), select(CATEGORIES), price(), 0..5_i64, name_key()).prop_map(
        move |(name, description, category, cents, millis, name_key)| {
            let (category, price) = (category.to_owned(), Price::from_cents(cents).unwrap());
            let (created_at, updated_at) = (time(millis), time(millis));
            let product = Product { id, name, description, category, price, created_at, updated_at };
            IndexRow { product, name_key }
        },
    )
}

/// Changes of some of the products.
fn changes() -> impl Strategy<Value = Vec<(u64, Option<IndexRow>)>> {
    let change = (1..60_u64)
        .prop_flat_map(|id| (Just(id), prop_oneof![Just(None).boxed(), product(id).prop_map(Some).boxed()]));
    prop::collection::vec(change, 0..25)
}

fn filter() -> impl Strategy<Value = Filter> {
    let search = prop_oneof![1 => Just(String::new()), 4 => text(SEARCHED, 3)];
    let categories = prop::collection::vec(select(CATEGORIES), 0..3);
    let prices = prop_oneof![Just(None), (price(), price()).prop_map(Some)];
    (search, categories, prices).prop_map(|(search, categories, prices)| Filter {
        categories: Categories::new(categories.iter().map(|name| Category::new(name).unwrap()).collect())
            .unwrap(),
        prices: prices.map_or(PriceRange::default(), |(a, b)| {
            PriceRange::new(Price::from_cents(a.min(b)), Price::from_cents(a.max(b))).unwrap()
        }),
        search: SearchText::new(&search).ok(),
    })
}

fn query() -> impl Strategy<Value = ListQuery> {
    let sort = select(vec![None, Some(Sort::Id), Some(Sort::Price), Some(Sort::Name), Some(Sort::CreatedAt)]);
    let order = select(vec![None, Some(Order::Asc), Some(Order::Desc)]);
    (filter(), sort, order, 1..12_u32).prop_map(|(filter, sort, order, limit)| {
        sorted(filter, sort, order).with_limit(Limit::new(limit).unwrap())
    })
}

/// What follows a product in a list.
fn cursor(query: &ListQuery, row: &IndexRow, found: &Found, relevance: u32) -> Cursor {
    query.cursor_after_match(&row.product, relevance, found.level)
}

async fn check(engines: [&impl Engine; 2], reference: &Reference, first: &ListQuery) {
    let whole = reference.answer(&first.clone().with_limit(Limit::MAX));
    let (mut query, mut name_key, mut walked) = (first.clone(), None, Vec::new());
    for nth in 0.. {
        let found = engines[nth % 2].search(&query, name_key.clone()).await.unwrap();
        let ids: Vec<u64> = found.matches.iter().map(|found| found.id).collect();
        assert_eq!(found.total, Some(whole.total), "{query:?}");
        assert_eq!(found.category_facet.as_ref(), Some(&whole.categories), "{query:?}");
        assert_eq!(found.price_facet.as_ref(), Some(&whole.prices), "{query:?}");
        assert_eq!(found.level, whole.level, "{query:?}");
        let limit = usize::try_from(query.limit().get()).unwrap();
        let rest = &whole.ids[walked.len().min(whole.ids.len())..];
        assert_eq!(ids, rest[..rest.len().min(limit + 1)], "{query:?}");
        let relevances: Vec<u32> = found.matches.iter().map(|found| found.relevance).collect();
        assert_eq!(relevances, whole.relevances[walked.len()..walked.len() + ids.len()], "{query:?}");
        walked.extend_from_slice(&ids[..ids.len().min(limit)]);
        if ids.len() <= limit {
            break;
        }
        let last = found.matches[limit - 1];
        let row = &reference.rows[&last.id];
        name_key = (query.sort() == Sort::Name).then(|| row.name_key.clone());
        query = first.clone().at(&cursor(first, row, &found, last.relevance)).unwrap();
    }
    assert_eq!(walked, whole.ids);
}

async fn check_clicks(engine: &impl Engine, query: &ListQuery) {
    let found = engine.search(query, None).await.unwrap();
    for (category, count) in found.category_facet.unwrap() {
        let categories = Categories::new(vec![Category::new(&category).unwrap()]).unwrap();
        let filter = Filter { categories, ..query.filter().clone() };
        let clicked = engine.search(&sorted(filter, None, None), None).await.unwrap();
        assert_eq!(clicked.total, Some(count), "{query:?} {category}");
    }
    for (prices, count) in found.price_facet.unwrap() {
        let filter = Filter { prices, ..query.filter().clone() };
        let clicked = engine.search(&sorted(filter, None, None), None).await.unwrap();
        assert_eq!(clicked.total, Some(count), "{query:?} {prices:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::CASES, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_brute_force_finds_whatever_the_history(
        histories in prop::collection::vec(changes(), 1..6),
        queries in prop::collection::vec(query(), 12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // One follows each change, the other reads the catalogue in between and applies the rest at once.
            let (Some(one), Some(other)) = (engine(""), engine("")) else { return Ok(()) };
            fill(&one, Vec::new()).await;
            let analysis = Analysis { language: Language::ENGLISH };
            let mut reference = Reference { rows: BTreeMap::new(), analysis };
            let half = histories.len() / 2;
            let mut late = Vec::new();
            for (nth, changes) in histories.into_iter().enumerate() {
                for (id, row) in changes.clone() {
                    match row {
                        Some(row) => reference.rows.insert(id, row),
                        None => reference.rows.remove(&id),
                    };
                }
                if nth < half || nth == 0 {
                    fill(&other, reference.rows.values().cloned().collect()).await;
                } else {
                    late.extend(changes.clone());
                }
                apply(&one, changes).await;
            }
            apply(&other, late).await;
            prop_assert_eq!(one.documents(), Some(reference.rows.len() as u64));
            for query in &queries {
                check([&one, &other], &reference, query).await;
                check_clicks(&other, query).await;
            }
            Ok(())
        })?;
    }
}
