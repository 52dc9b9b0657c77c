//! How goods of one sort are described, so that every sentence is true of what it stands beside.

/// Words for goods of one sort, the most common first.
pub(crate) struct Voice {
    /// What a label praises.
    pub qualities: &'static [&'static str],
    /// How it is made or what it has; follows a comma.
    pub features: &'static [&'static str],
    /// A second sentence.
    pub uses: &'static [&'static str],
}

#[rustfmt::skip]
pub(super) static FIELD: Voice = Voice {
    qualities: &["Fresh", "Organic", "Local", "Seasonal", "Hand-Picked", "Sweet", "Crisp", "Tender", "Heirloom", "Biodynamic",
        "Wonky", "Late-Harvest", "Sun-Kissed", "Unwashed"],
    features: &["picked fresh every morning on a family farm", "grown without pesticides on small family fields",
        "packed on the farm the same day they are picked", "straight from the field to your kitchen",
        "harvested by hand at just the right moment", "full of flavour and natural goodness", "grown in rich river soil",
        "sorted by hand and washed with spring water", "ripened slowly in the summer sun", "watered only by rain and dew",
        "delivered in a box that can be returned", "raised from seed saved on the farm", "stored cool in a stone cellar",
        "grown on terraces above the valley", "certified by the regional growers' union", "picked at dawn during a short season"],
    uses: &["Great for family meals.", "Keep in the fridge and enjoy within a week.", "Good in a salad or a quick lunch.",
        "Children like them too.", "Lovely on a picnic or in a lunch box.", "Rinse before use.", "Store in a cool, dark place.",
        "Good for baking, stewing and preserving.", "Excellent in tarts, curries and chutneys.", "Try them grilled.",
        "A classic of the autumn kitchen.", "Leftovers feed the hens."],
};
#[rustfmt::skip]
pub(super) static DAIRY: Voice = Voice {
    qualities: &["Creamy", "Organic", "Farmhouse", "Fresh", "Traditional", "Mild", "Artisan", "Grass-Fed", "Raw", "Vintage", "Double",
        "Lactose-Free", "Award-Winning"],
    features: &["made fresh every week from the milk of a family farm", "made with natural ingredients only",
        "from a family farm with a long tradition", "with milk from cows that graze outdoors",
        "prepared by hand after an old family recipe", "without additives or preservatives",
        "chilled within the hour and never standardised", "a favourite at every farmers' market", "cultured slowly for a full flavour",
        "stirred in copper kettles over a low fire", "from hay milk of the high pastures", "aged in a limestone cave"],
    uses: &["Perfect with fresh bread.", "Great for a family breakfast.", "Keep in the fridge and enjoy within a week.",
        "Melts beautifully over potatoes.", "Good for baking and for sauces.", "Goes well with pears and walnuts.",
        "Take it out of the fridge an hour before serving.", "A must for every cheeseboard.", "Pairs beautifully with dry cider."],
};
#[rustfmt::skip]
pub(super) static LARDER: Voice = Voice {
    qualities: &["Traditional", "Organic", "Farmhouse", "Homemade", "Artisan", "Extra", "Rustic", "Small-Batch", "Unsweetened",
        "Cold-Pressed", "Stone-Ground", "Gluten-Free", "Award-Winning", "Wild"],
    features: &["made every week in small batches on a family farm", "made with natural ingredients only",
        "from a family farm with a long tradition", "without additives or preservatives",
        "prepared by hand after an old family recipe", "packed in glass that can be returned",
        "sealed to stay fresh for longer", "a favourite at every farmers' market", "from crops of neighbouring farms",
        "bottled and labelled by hand", "winner of a regional gold medal", "rested in stoneware for several weeks"],
    uses: &["Perfect with fresh bread.", "A good start for a quick family dinner.", "Store in a cool, dark place.",
        "Keeps for a year unopened.", "Goes well with cheese and cold cuts.", "Good for soups, stews and bakes.",
        "Makes a thoughtful present.", "Shake or stir before use.", "A spoonful is enough."],
};
#[rustfmt::skip]
pub(super) static BAKERY: Voice = Voice {
    qualities: &["Fresh", "Traditional", "Crusty", "Organic", "Farmhouse", "Artisan", "Homemade", "Rustic", "Buttery", "Slow-Proved",
        "Wood-Fired", "Gluten-Free", "Vegan"],
    features: &["baked fresh every morning in a family bakery", "made with natural ingredients only", "baked on stone after an old family recipe",
        "from flour of a neighbouring mill", "without additives or preservatives", "proved overnight for a full flavour",
        "shaped by hand", "a favourite at every farmers' market", "with butter from the village dairy", "baked in a wood-fired oven"],
    uses: &["Best on the day it is baked.", "Great for a family breakfast.", "Freezes well.", "Warm it for five minutes in the oven.",
        "Perfect with butter and jam.", "Lovely on a picnic or in a lunch box.", "Goes well with soup and cheese.", "Good with coffee."],
};
#[rustfmt::skip]
pub(super) static MEAT: Voice = Voice {
    qualities: &["Free-Range", "Farmhouse", "Fresh", "Organic", "Traditional", "Grass-Fed", "Lean", "Marinated", "Dry-Aged", "Smoked",
        "Pasture-Raised", "Heritage"],
    features: &["from animals raised outdoors on a family farm", "prepared by a family butcher every morning", "cut and packed fresh by hand",
        "seasoned with salt and pepper only", "from a farm with a long tradition", "without additives or preservatives",
        "hung for three weeks", "smoked gently over beech wood", "from old, slow-growing breeds", "cured in mountain air"],
    uses: &["Great for the grill.", "A good start for a quick family dinner.", "Keep in the fridge and enjoy within three days.",
        "Freezes well.", "Roast slowly with rosemary and garlic.", "Serve with potatoes and greens.", "Pairs well with dark bread."],
};
#[rustfmt::skip]
pub(super) static DRINKS: Voice = Voice {
    qualities: &["Natural", "Organic", "Traditional", "Sparkling", "Cloudy", "Unsweetened", "Farmhouse", "Homemade", "Fair-Trade",
        "Alcohol-Free", "Vintage", "Cold-Brewed"],
    features: &["made with natural ingredients only", "from fruit and herbs of a family farm", "without added sugar or colour",
        "bottled fresh on the farm", "pressed and filled within hours of the harvest", "made after an old family recipe",
        "packed in glass that can be returned", "rested in oak for several months", "a favourite at every farmers' market"],
    uses: &["Serve it chilled.", "Perfect for family picnics.", "Good hot or cold.", "Shake well before opening.", "Keep in a cool, dark place.",
        "Goes well with a slice of cake.", "Mix it with sparkling water.", "A treat at the end of the day."],
};
#[rustfmt::skip]
pub(super) static SPICES: Voice = Voice {
    qualities: &["Organic", "Aromatic", "Fresh", "Traditional", "Hand-Picked", "Fragrant", "Mild", "Wild", "Sun-Dried", "Fair-Trade", "Fiery"],
    features: &["dried gently to keep its full flavour", "grown on a small family farm", "packed fresh in small batches", "without additives of any kind",
        "picked by hand at dawn", "sealed in a tin that can be refilled", "sorted twice by hand", "a favourite at every farmers' market"],
    uses: &["A pinch is enough.", "Great in family stews and soups.", "Store in a cool, dark place.", "Add it at the end of cooking.",
        "Good for salads, sauces and marinades.", "Crush it freshly in a mortar.", "Goes well with tomatoes and eggs."],
};
#[rustfmt::skip]
pub(super) static SWEETS: Voice = Voice {
    qualities: &["Homemade", "Traditional", "Organic", "Creamy", "Artisan", "Crunchy", "Fair-Trade", "Vegan", "Festive", "Handmade"],
    features: &["made with natural ingredients only", "made every week in a small family kitchen", "from fresh cream and country butter",
        "poured and cut by hand", "wrapped in paper, not in plastic", "prepared after an old family recipe", "sweetened with honey"],
    uses: &["A treat for the whole family.", "Makes a sweet present.", "Good with coffee and tea.", "Store in a cool, dry place.",
        "Best shared.", "Lovely in a lunch box."],
};

/// Said of any household good.
#[rustfmt::skip]
const HOUSEHOLD: &[&str] = &["made to last for years of everyday use", "made from recycled materials", "with a five year guarantee",
    "designed for everyday family life", "built with care and simple to repair", "finished by hand in a small workshop",
    "tested for quality and safety", "delivered without plastic packaging", "available with matching accessories",
    "designed in a small studio and made nearby", "from a family business with a long tradition"];

#[rustfmt::skip]
pub(super) static KITCHEN: Voice = Voice {
    qualities: &["Premium", "Classic", "Everyday", "Heavy-Duty", "Professional", "Large", "Compact", "Modern", "Vintage", "Handmade",
        "Non-Stick", "Stackable", "Scandinavian"],
    features: HOUSEHOLD,
    uses: &["A practical helper for every kitchen.", "Easy to clean.", "Perfect for small kitchens and busy families.",
        "Recommended by professional cooks.", "Makes a good present for a new home.", "Stores neatly in a drawer or on a hook.",
        "Pairs well with the rest of the collection.", "Wash by hand."],
};
#[rustfmt::skip]
pub(super) static CLEANING: Voice = Voice {
    qualities: &["Everyday", "Eco", "Gentle", "Concentrated", "Professional", "Natural", "Refillable", "Classic", "Strong", "Vegan", "Hygienic"],
    features: &["kind to skin and to the environment", "made for everyday family life", "made from plants and recycled materials",
        "tested for quality and safety", "delivered in a refillable package", "made to use less and clean more", "from a small soap works"],
    uses: &["A practical helper for every home.", "Suitable for kitchen and bath.", "Keep away from children.", "A little goes a long way.",
        "Refills are available.", "Good for sensitive skin.", "Works in any room of the house."],
};
#[rustfmt::skip]
pub(super) static FURNITURE: Voice = Voice {
    qualities: &["Modern", "Classic", "Rustic", "Solid", "Scandinavian", "Compact", "Folding", "Vintage", "Handmade", "Minimalist",
        "Space-Saving", "Industrial", "Shaker"],
    features: HOUSEHOLD,
    uses: &["Fits any room of the house.", "Perfect for small homes and busy families.", "Assembly instructions are enclosed.",
        "Wipe clean with a damp cloth.", "Oil it once a year.", "Suitable for indoor and covered outdoor use.", "Ready to use, no assembly needed."],
};
#[rustfmt::skip]
pub(super) static TEXTILES: Voice = Voice {
    qualities: &["Soft", "Classic", "Organic", "Warm", "Lightweight", "Premium", "Striped", "Quilted", "Handmade", "Reversible", "Embroidered",
        "Stonewashed"],
    features: HOUSEHOLD,
    uses: &["Wash at 40 degrees.", "Comfortable all year round.", "Keeps its shape and colour wash after wash.", "Makes a good present for a new home.",
        "Air it often, wash it rarely.", "Perfect for family weekends.", "Just right for guests and holidays."],
};
#[rustfmt::skip]
pub(super) static TOYS: Voice = Voice {
    qualities: &["Colourful", "Classic", "Wooden", "Educational", "Large", "Handmade", "Creative", "Magnetic", "Foldable", "Retro"],
    features: HOUSEHOLD,
    uses: &["Safe for children from three years.", "Fun for the whole family.", "Great for rainy days.", "Makes a good birthday present.",
        "For two to six players or for quiet play alone.", "Grows with the child."],
};
#[rustfmt::skip]
pub(super) static LIGHTING: Voice = Voice {
    qualities: &["Modern", "Warm", "Energy-Saving", "Dimmable", "Classic", "Industrial", "Solar", "Vintage", "Smart", "Minimalist"],
    features: HOUSEHOLD,
    uses: &["Works in any room of the house.", "Fits all standard sockets.", "Gives a warm light.", "Suitable for indoor and outdoor use.",
        "Switches itself off.", "Perfect for family evenings."],
};
#[rustfmt::skip]
pub(super) static PAPER: Voice = Voice {
    qualities: &["Classic", "Recycled", "Lined", "Modern", "Handmade", "Illustrated", "Refillable", "Botanical", "Marbled"],
    features: HOUSEHOLD,
    uses: &["Makes a good present.", "For notes, plans and family memories.", "Works with pen and pencil.", "Refills are available.", "Lies flat when open."],
};

/// Said of anything made for outdoors.
#[rustfmt::skip]
const RUGGED: &[&str] = &["built for years of outdoor use", "made for family gardens and small farms", "easy to handle and simple to store",
    "resistant to frost, sun and rain", "tested every day by professionals", "with a two year guarantee", "made from recycled materials",
    "finished by hand in a small workshop", "designed with the people who use it", "shaped after a century-old pattern",
    "from a family business with a long tradition"];

#[rustfmt::skip]
pub(super) static GARDEN: Voice = Voice {
    qualities: &["Heavy-Duty", "Classic", "Garden", "Robust", "Weatherproof", "Lightweight", "Professional", "Premium", "Ergonomic",
        "Galvanised", "Frost-Proof", "Telescopic", "Folding"],
    features: RUGGED,
    uses: &["Perfect for home, garden and field.", "A reliable companion in every season.", "Good for beginners and professionals.",
        "Keep dry and clean after use.", "Hangs on a hook in the shed.", "Trusted on allotments everywhere.", "Recommended by our own growers.",
        "Spare parts are available."],
};
#[rustfmt::skip]
pub(super) static SOIL: Voice = Voice {
    qualities: &["Organic", "Premium", "Natural", "Rich", "Classic", "Long-Lasting", "Fine", "Professional"],
    features: &["for healthy roots and strong growth", "made for family gardens and small farms", "free of chemicals and weeds", "from regional raw materials",
        "matured for a whole year", "tested by professional gardeners"],
    uses: &["Suitable for beds, pots and greenhouses.", "Recommended by our own growers.", "Work it in lightly and water well.", "Store in a dry place.",
        "Best used in spring."],
};
#[rustfmt::skip]
pub(super) static BALLS: Voice = Voice {
    qualities: &["Training", "Classic", "Match", "Indoor", "Outdoor", "Junior", "Premium", "Lightweight", "Competition", "Waterproof", "Beginner"],
    features: &["made for clubs, schools and family weekends", "stitched by hand for a true flight", "made to keep its shape season after season",
        "with a soft surface that is easy to grip", "approved for school and club use", "tested every day by professionals",
        "made from recycled rubber", "with a two year guarantee"],
    uses: &["Great for training, matches and play.", "Every ball is inspected by hand.", "Good for beginners and professionals.",
        "Suitable for grass, sand and indoor courts.", "Meets the official size and weight.", "Wipe clean with a damp cloth.", "Store away from heat."],
};
#[rustfmt::skip]
pub(super) static SPORT: Voice = Voice {
    qualities: &["Training", "Classic", "Lightweight", "Professional", "Outdoor", "Compact", "Robust", "Junior", "Folding", "Adjustable",
        "Competition", "Ergonomic", "All-Terrain"],
    features: &["made for clubs, schools and family weekends", "built for years of hard training", "easy to handle and simple to store",
        "tested every day by professionals", "with a two year guarantee", "made from recycled materials", "approved for school and club use",
        "supplied with a storage bag", "balanced for precise control", "designed with the people who use it"],
    uses: &["Good for beginners and professionals.", "Great for weekends with friends and family.", "A reliable companion in every season.",
        "Ideal for clubs, schools and parks.", "Wipe clean with a damp cloth.", "Spare parts are available.", "Read the safety notes before first use."],
};
#[rustfmt::skip]
pub(super) static TOOLS: Voice = Voice {
    qualities: &["Heavy-Duty", "Professional", "Classic", "Compact", "Robust", "Ergonomic", "Reinforced", "Adjustable", "Precision", "Insulated"],
    features: RUGGED,
    uses: &["Perfect for home, garden and workshop.", "Good for beginners and professionals.", "A reliable companion for every job.",
        "Keep dry and clean after use.", "Spare parts are available.", "Read the safety notes before first use.", "Wear gloves and goggles."],
};
#[rustfmt::skip]
pub(super) static FEED: Voice = Voice {
    qualities: &["Natural", "Organic", "Balanced", "Grain-Free", "Premium", "Mild", "Junior", "Senior", "Crunchy"],
    features: &["with everything that healthy animals need", "made from regional raw materials", "without additives of any kind",
        "made for family pets and small farms", "developed with country vets", "packed to stay fresh for longer"],
    uses: &["Fresh water should always be near.", "Good for sensitive stomachs.", "Store in a dry place.", "Mix it in slowly over a week.",
        "Loved by young and old animals."],
};
#[rustfmt::skip]
pub(super) static PETS: Voice = Voice {
    qualities: &["Robust", "Classic", "Soft", "Weatherproof", "Large", "Washable", "Foldable", "Natural", "Reflective", "Cosy"],
    features: RUGGED,
    uses: &["Safe for puppies and kittens.", "Good for indoors and outdoors.", "Easy to clean.", "Tested in our own stables.", "Spare parts are available.",
        "Gives family pets a place of their own."],
};
#[rustfmt::skip]
pub(super) static SEEDS: Voice = Voice {
    qualities: &["Organic", "Heirloom", "Early", "Hardy", "Open-Pollinated", "Dwarf", "Climbing", "Perennial", "Bee-Friendly", "Rare"],
    features: &["for family gardens, pots and balconies", "raised without chemicals on a family farm", "selected for flavour and colour",
        "easy to grow from spring to autumn", "untreated and tested for germination", "gathered by hand from mother plants", "loved by bees and butterflies"],
    uses: &["Sow from March under glass.", "Good for beginners.", "Water well and keep in the sun.", "Harvest until the first frost.",
        "Store in a cool, dry place.", "Recommended by our own growers."],
};
