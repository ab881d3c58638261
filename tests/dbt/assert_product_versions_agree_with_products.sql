-- The current version of every product is what dim_products says of it. A row here is a product of
-- dim_products that has no current version or whose current version says otherwise: the snapshot was
-- not taken since the catalog was loaded (`dbt build --select snap_products+`), or the two models
-- fill in what is unknown in different ways. Versions of products that dim_products no longer has
-- are not looked at.
with products as (

    select
        product_id,
        source_system,
        manufacturer_id,
        department,
        brand_type,
        product_category,
        product_type,
        package_size,
        is_private_label,
        is_in_catalog,
        is_unknown
    from {{ ref('dim_products') }}

),

current_versions as (

    select
        product_id,
        source_system,
        manufacturer_id,
        department,
        brand_type,
        product_category,
        product_type,
        package_size,
        is_private_label,
        is_in_catalog,
        is_unknown
    from {{ ref('dim_product_versions') }}
    where is_current

)

select * from products
except
select * from current_versions
