-- Grain: one row a product in a basket (basket_id, product_id).
-- All amounts add up over any selection of rows. Quantity does not: it counts pieces for some
-- products and measures volume or weight for others.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='business_date',
        on_schema_change='fail',
        pre_hook="{{ delete_periods_that_differ(
            'business_date',
            ref('int_sales__lines_priced'),
            row_count='count(*)',
            amounts=['quantity', 'gross_sales_usd', 'net_sales_usd', 'customer_paid_usd'],
            attributes=['business_week'],
        ) }}",
    )
}}

with lines as (

    select * from {{ ref('int_sales__lines_priced') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

promotions as (

    select * from {{ ref('fct_promotion_weeks') }}

),

{% if is_incremental() -%}
-- A business date is built again, as a whole, when it is not there (the pre-hook took it out, since
-- lines of it are gone), when a load since the last build brought one of its lines or the promotions
-- of its week, however late they came, and when what it took of a product or of the promotions is
-- not so any more.
-- (These CTEs read the models themselves: DuckDB materializes a CTE that is read twice.)
last_build as (

    select max(load_id) as load_id
    from {{ this }}

),

built_dates as (

    select distinct business_date
    from {{ this }}

),

dates_loaded as (

    select
        business_date,
        max(load_id) as load_id
    from {{ ref('int_sales__lines_priced') }}
    group by business_date

),

weeks_promoted as (

    select
        business_week,
        max(load_id) as load_id
    from {{ ref('fct_promotion_weeks') }}
    group by business_week

),

dates_to_build as (

    select dates_loaded.business_date
    from dates_loaded
    cross join last_build
    left join built_dates
        on dates_loaded.business_date = built_dates.business_date
    where
        built_dates.business_date is null
        or dates_loaded.load_id > last_build.load_id
    union distinct
    select built.business_date
    from {{ this }} as built
    left join {{ ref('dim_products') }} as catalog
        on built.product_id = catalog.product_id
    where built.is_private_label <> coalesce(catalog.is_private_label, false)
    union distinct
    select built.business_date
    from {{ this }} as built
    cross join last_build
    left join weeks_promoted
        on built.business_week = weeks_promoted.business_week
    where
        weeks_promoted.load_id > last_build.load_id
        -- The feed has the week no more.
        or (weeks_promoted.business_week is null and built.is_promoted)

),

{% endif -%}
lines_to_build as (

    select lines.*
    from lines
    {% if is_incremental() -%}
    inner join dates_to_build
        on lines.business_date = dates_to_build.business_date
    {%- endif %}

),

-- The range of weeks, not their list: engines skip the parts of the table outside it.
promotions_of_lines as (

    select
        product_id,
        store_id,
        business_week,
        load_id
    from promotions
    {% if is_incremental() -%}
    where
        business_week >= (select min(lines_to_build.business_week) from lines_to_build)
        and business_week <= (select max(lines_to_build.business_week) from lines_to_build)
    {%- endif %}

),

final as (

    select
        lines.basket_id,
        lines.product_id,
        lines.source_system,
        lines.household_id,
        lines.store_id,
        lines.business_date,
        lines.business_week,
        lines.sold_at,
        lines.quantity,
        lines.gross_sales_usd,
        lines.loyalty_discount_usd,
        lines.coupon_match_discount_usd,
        lines.net_sales_usd,
        lines.coupon_discount_usd,
        lines.customer_paid_usd,
        promotions.product_id is not null as is_promoted,
        coalesce(products.is_private_label, false) as is_private_label,
        -- Of the catalog, which is compared as it is, no load is needed.
        greatest(lines.load_id, coalesce(promotions.load_id, '')) as load_id
    from lines_to_build as lines
    left join products
        on lines.product_id = products.product_id
    left join promotions_of_lines as promotions
        on
            lines.product_id = promotions.product_id
            and lines.store_id = promotions.store_id
            and lines.business_week = promotions.business_week

)

select * from final
