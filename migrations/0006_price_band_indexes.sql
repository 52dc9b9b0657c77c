-- A price range in the order of id, name or time: docs/sql.md. Lists are served without them, some of them slowly.
ALTER TABLE products
    ADD KEY by_band (price_band, id, price),
    ADD KEY by_band_name (price_band, name, id, price),
    ADD KEY by_band_created_at (price_band, created_at, id, price),
    ADD KEY by_category_band (category, price_band, id, price),
    ADD KEY by_category_band_name (category, price_band, name, id, price),
    ADD KEY by_category_band_created_at (category, price_band, created_at, id, price)
