//! Names of places, farms and brands: the vocabulary's long tail.

use fake::Fake as _;
use fake::faker::name::{de_de, en, fr_fr, it_it, nl_nl, pt_br};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, RngExt as _};

/// How many names each list holds; the rarest of them occurs in a handful of rows in a million.
pub(super) const COUNT: usize = 8_000;

/// Every list starts with its most common name.
pub(super) struct Makers {
    /// "Brookfield"
    pub places: Vec<String>,
    /// "Alpine Meadow", "Ashford Dairy", "Müller"
    pub farms: Vec<String>,
    /// "Kelvano"
    pub brands: Vec<String>,
}

impl Makers {
    pub(super) fn new(rng: &mut impl Rng) -> Self {
        let places = distinct(rng, |rng| format!("{}{}", word(PLACE_STARTS, rng), word(PLACE_ENDS, rng)));
        let farms = distinct(rng, |rng| match rng.random_range(0..10) {
            0..4 => format!("{} {}", word(SCENES, rng), word(LANDS, rng)),
            4..8 => format!("{}{} {}", word(PLACE_STARTS, rng), word(PLACE_ENDS, rng), word(BUSINESSES, rng)),
            _ => surname(rng).to_owned(),
        });
        let brands = distinct(rng, |rng| {
            let middle = if rng.random_ratio(2, 3) { word(BRAND_MIDDLES, rng) } else { "" };
            format!("{}{middle}{}", word(BRAND_STARTS, rng), word(BRAND_ENDS, rng))
        });
        Self { places, farms, brands }
    }
}

/// Somebody's full name, in one of six languages.
pub(super) fn person(rng: &mut impl Rng) -> String {
    let first: &str = match rng.random_range(0..10) {
        0..5 => en::FirstName().fake_with_rng(rng),
        5..7 => de_de::FirstName().fake_with_rng(rng),
        7 => fr_fr::FirstName().fake_with_rng(rng),
        8 => it_it::FirstName().fake_with_rng(rng),
        _ => pt_br::FirstName().fake_with_rng(rng),
    };
    format!("{first} {}", surname(rng))
}

fn surname(rng: &mut impl Rng) -> &'static str {
    match rng.random_range(0..10) {
        0..4 => en::LastName().fake_with_rng(rng),
        4..6 => de_de::LastName().fake_with_rng(rng),
        6 => fr_fr::LastName().fake_with_rng(rng),
        7 => it_it::LastName().fake_with_rng(rng),
        8 => nl_nl::LastName().fake_with_rng(rng),
        _ => pt_br::LastName().fake_with_rng(rng),
    }
}

fn word(list: &[&'static str], rng: &mut impl Rng) -> &'static str {
    list.choose(rng).copied().unwrap_or_default()
}

/// `COUNT` different names, as far as 16 tries for each find them, in random order.
fn distinct<R: Rng>(rng: &mut R, mut name: impl FnMut(&mut R) -> String) -> Vec<String> {
    let mut names: Vec<String> = (0..COUNT * 16).map(|_| name(rng)).collect();
    names.sort_unstable();
    names.dedup();
    names.shuffle(rng);
    names.truncate(COUNT);
    names
}

#[rustfmt::skip]
const PLACE_STARTS: &[&str] = &[
    "Alder", "Apple", "Ash", "Aspen", "Badger", "Barley", "Beech", "Birch", "Black", "Bram", "Brook", "Buck", "Castle",
    "Cedar", "Clay", "Clover", "Cold", "Copper", "Cran", "Crow", "Deer", "Dun", "Eagle", "East", "Elder", "Elm", "Fal",
    "Fern", "Fox", "Glen", "Golden", "Goose", "Green", "Grey", "Hare", "Hart", "Hawk", "Hazel", "Heather", "Hedge", "High",
    "Holly", "Honey", "Ivy", "King", "Lark", "Lin", "Long", "Maple", "Marl", "Mill", "Moss", "Nether", "North", "Oak",
    "Otter", "Owl", "Pebble", "Pine", "Quarry", "Raven", "Red", "River", "Robin", "Rose", "Rowan", "Rye", "Sedge", "Silver",
    "Sparrow", "Spring", "Stan", "Stone", "Sun", "Swan", "Tarn", "Thistle", "Thorn", "Up", "Vine", "Wal", "Water",
    "West", "Wheat", "White", "Wil", "Wind", "Winter", "Wolf", "Wood", "Wren", "Yarrow",
];
#[rustfmt::skip]
const PLACE_ENDS: &[&str] = &[
    "acre", "bank", "barn", "barrow", "beck", "borough", "bourne", "bridge", "brook", "burn", "bury", "by", "combe", "cote",
    "creek", "croft", "dale", "dean", "don", "down", "edge", "end", "fell", "field", "fold", "ford", "gate", "glade", "grange",
    "grove", "ham", "haven", "heath", "hill", "holm", "hurst", "ing", "keld", "kirk", "land", "leigh", "ley", "lock", "low",
    "marsh", "mead", "mere", "minster", "moor", "mouth", "ness", "over", "pool", "port", "reach", "ridge", "rigg", "scar",
    "shaw", "side", "stead", "stoke", "stone", "stow", "thorpe", "thwaite", "toft", "ton", "tree", "vale", "view", "ville",
    "wade", "water", "way", "well", "wick", "with", "wold", "wood", "worth", "yard",
];
#[rustfmt::skip]
const SCENES: &[&str] = &[
    "Alpine", "Amber", "Autumn", "Azure", "Bright", "Broad", "Bumble", "Coastal", "Copper", "Country", "Crystal", "Dancing",
    "Deep", "Early", "Emerald", "Evening", "Fallen", "Fairy", "Frosty", "Gentle", "Golden", "Green", "Happy", "Harvest",
    "Hidden", "High", "Hollow", "Honest", "Humble", "Ivory", "Jolly", "Laughing", "Little", "Lonely", "Lucky", "Merry", "Misty",
    "Morning", "Northern", "Old", "Pure", "Quiet", "Rolling", "Royal", "Running", "Rushing", "Sacred", "Scarlet", "Shady",
    "Silent", "Silver", "Singing", "Sleepy", "Southern", "Stony", "Sunny", "Tall", "Thirsty", "Three", "Twin", "Upper", "Velvet",
    "Wandering", "Western", "Whispering", "Wild", "Windy", "Young",
];
#[rustfmt::skip]
const LANDS: &[&str] = &[
    "Acres", "Barn", "Bay", "Bluff", "Brook", "Canyon", "Cellar", "Coast", "Corner", "Cottage", "Creek", "Dairy", "Downs",
    "Dunes", "Falls", "Fields", "Forest", "Garden", "Gate", "Glen", "Grove", "Harbour", "Heights", "Hill", "Hollow", "Island",
    "Lake", "Lane", "Ledge", "Meadow", "Mill", "Moor", "Mountain", "Oaks", "Orchard", "Pastures", "Peak", "Pines", "Plains",
    "Pond", "Prairie", "Ridge", "River", "Rock", "Shore", "Spring", "Springs", "Stream", "Summit", "Terrace", "Trail", "Vale",
    "Valley", "Vineyard", "Waters", "Willow", "Woods",
];
#[rustfmt::skip]
const BUSINESSES: &[&str] = &[
    "Farm", "Dairy", "Orchard", "Kitchen", "Mill", "Gardens", "Estate", "Growers", "Larder", "Smokehouse", "Bakehouse",
    "Cooperative", "Pantry", "Creamery", "Grange", "Homestead", "Brothers", "Fields", "Press", "Apiary", "Brewery", "Roastery",
];
#[rustfmt::skip]
const BRAND_STARTS: &[&str] = &[
    "Al", "Ar", "Bel", "Bor", "Bra", "Cal", "Cor", "Dal", "Del", "Dor", "El", "Fen", "Fal", "Gar", "Gri", "Hal", "Hel", "Il",
    "Jor", "Kal", "Kel", "Kor", "Lan", "Lor", "Lum", "Mar", "Mel", "Mon", "Nal", "Nor", "Ol", "Or", "Pal", "Pra", "Quin", "Ral",
    "Rin", "Sal", "Sel", "Sol", "Tal", "Tor", "Tri", "Ul", "Val", "Ver", "Vol", "Wal", "Xen", "Yar", "Zan", "Zel",
];
const BRAND_MIDDLES: &[&str] = &[
    "a", "e", "i", "o", "ba", "da", "de", "fi", "ga", "ka", "la", "li", "ma", "mi", "na", "ne", "ra", "ri",
    "ta", "va",
];
#[rustfmt::skip]
const BRAND_ENDS: &[&str] = &[
    "bo", "dex", "don", "dra", "fex", "fix", "gard", "gen", "go", "ko", "kon", "lux", "max", "mex", "na", "no", "nova", "pro",
    "ra", "rex", "rix", "ro", "san", "ta", "tec", "ten", "tex", "tor", "va", "van", "vex", "vo", "wick", "xo", "za", "zon",
];
