-- Grain: one row a product and version of its attributes (product_id, valid_from).
-- The versions of a product follow each other from 1900-01-01 to 9999-12-31: any moment lies in one
-- of them, `valid_from <= moment and moment < valid_to`.
with history as (

    select * from {{ ref('snap_products') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

dated as (

    {{ dated_versions('history', 'product_id') }}

),

-- The version that records a deletion has the attributes of the one before; here it has none, as any
-- product that the catalog lacks.
with_history as (

    select
        product_id,
        valid_from,
        valid_to,
        is_current,
        source_system,
        case when is_present then manufacturer_id end as manufacturer_id,
        coalesce(case when is_present then department end, 'Unknown') as department,
        coalesce(case when is_present then brand_type end, 'Unknown') as brand_type,
        coalesce(case when is_present then product_category end, 'Unknown') as product_category,
        coalesce(case when is_present then product_type end, 'Unknown') as product_type,
        coalesce(case when is_present then package_size end, 'Unknown') as package_size,
        coalesce(is_present and brand_type = 'Private', false) as is_private_label,
        is_present as is_in_catalog,
        false as is_unknown
    from dated

),

-- Never in the catalog, and the unknown product: one version each, as the dimension has it.
without_history as (

    select
        products.product_id,
        timestamp '1900-01-01' as valid_from,
        timestamp '9999-12-31' as valid_to,
        true as is_current,
        products.source_system,
        products.manufacturer_id,
        products.department,
        products.brand_type,
        products.product_category,
        products.product_type,
        products.package_size,
        products.is_private_label,
        products.is_in_catalog,
        products.is_unknown
    from products
    left join history
        on products.product_id = history.product_id
    where history.product_id is null

),

final as (

    select * from with_history
    union all
    select * from without_history

)

select * from final
