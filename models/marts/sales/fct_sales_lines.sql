-- Grain: one row a product in a basket (basket_id, product_id).
-- All amounts add up over any selection of rows. Quantity does not: it counts pieces for some
-- products and measures volume or weight for others.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='business_date',
        on_schema_change='fail',
        pre_hook="{{ delete_dates_without_rows(ref('int_sales__lines_priced')) }}",
    )
}}
-- depends_on: {{ ref('int_shared__cancelled_lines_unioned') }}

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
-- A business date is built again, as a whole, when a load since the last build brought or
-- cancelled one of its lines, or brought a product that it sold or the promotions of its week,
-- however late they came.
-- (These CTEs read the models themselves: DuckDB materializes a CTE that is read twice.)
last_build as (

    select max(load_id) as load_id
    from {{ this }}

),

-- A system that joins later brings lines that were loaded before the last build.
last_build_of_system as (

    select
        source_system,
        max(load_id) as load_id
    from {{ this }}
    group by source_system

),

new_lines as (

    select loaded.*
    from {{ ref('int_sales__lines_priced') }} as loaded
    left join last_build_of_system
        on loaded.source_system = last_build_of_system.source_system
    where loaded.load_id > coalesce(last_build_of_system.load_id, '')

),

newly_cancelled_lines as (

    select
        loaded.basket_id,
        loaded.product_id
    from {{ ref('int_shared__cancelled_lines_unioned') }} as loaded
    cross join last_build
    where loaded.load_id > last_build.load_id

),

new_products as (

    select loaded.product_id
    from {{ ref('dim_products') }} as loaded
    cross join last_build
    where loaded.load_id > last_build.load_id

),

new_promotion_weeks as (

    select distinct loaded.business_week
    from {{ ref('fct_promotion_weeks') }} as loaded
    cross join last_build
    where loaded.load_id > last_build.load_id

),

dates_to_build as (

    select business_date
    from new_lines
    union distinct
    -- The date that a changed line had before.
    select built.business_date
    from {{ this }} as built
    inner join new_lines
        on
            built.basket_id = new_lines.basket_id
            and built.product_id = new_lines.product_id
    union distinct
    -- The date that a line was sold on before it was cancelled.
    select built.business_date
    from {{ this }} as built
    inner join newly_cancelled_lines
        on
            built.basket_id = newly_cancelled_lines.basket_id
            and built.product_id = newly_cancelled_lines.product_id
    union distinct
    select built.business_date
    from {{ this }} as built
    inner join new_products
        on built.product_id = new_products.product_id
    union distinct
    select built.business_date
    from {{ this }} as built
    inner join new_promotion_weeks
        on built.business_week = new_promotion_weeks.business_week

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
        -- The latest load that any part of the row comes from.
        greatest(
            lines.load_id,
            coalesce(products.load_id, ''),
            coalesce(promotions.load_id, '')
        ) as load_id
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
