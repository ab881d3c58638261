with products as (

    select * from {{ ref('int_shared__products_unioned') }}

),

transactions as (

    select * from {{ ref('int_shared__sales_lines_unioned') }}

),

coupons as (

    select * from {{ ref('int_shared__coupon_products_unioned') }}

),

promotions as (

    select * from {{ ref('int_shared__promotions_unioned') }}

),

-- A product exists because something refers to it, in the catalog or not.
identified as (

    select
        product_id,
        source_system
    from products
    union distinct
    select
        product_id,
        source_system
    from transactions
    union distinct
    select
        product_id,
        source_system
    from coupons
    where product_id is not null
    union distinct
    select
        product_id,
        source_system
    from promotions
    where product_id is not null

),

described as (

    select
        identified.product_id,
        identified.source_system,
        products.product_id is not null as is_in_catalog,
        products.manufacturer_id,
        products.department,
        products.brand_type,
        products.product_category,
        products.product_type,
        products.package_size,
        products.load_id
    from identified
    left join products
        on identified.product_id = products.product_id

)

select * from described
