-- Grain: one row a basket. All amounts and counts add up over any selection of rows.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='business_date',
        on_schema_change='fail',
        pre_hook="{{ delete_periods_that_differ(
            'business_date',
            ref('fct_sales_lines'),
            row_count='sum(line_count)',
            amounts=['gross_sales_usd', 'net_sales_usd', 'customer_paid_usd'],
            attributes=['business_week'],
        ) }}",
    )
}}

with lines as (

    select * from {{ ref('fct_sales_lines') }}

),

{% if is_incremental() -%}
-- A business date is built again, as a whole, when it is not there (the pre-hook took it out, since
-- lines of it are gone), and when its latest load is another than that which it was built of.
built_dates as (

    select
        business_date,
        max(load_id) as load_id
    from {{ this }}
    group by business_date

),

dates_loaded as (

    select
        business_date,
        max(load_id) as load_id
    from {{ ref('fct_sales_lines') }}
    group by business_date

),

dates_to_build as (

    select dates_loaded.business_date
    from dates_loaded
    left join built_dates
        on dates_loaded.business_date = built_dates.business_date
    where
        built_dates.business_date is null
        or dates_loaded.load_id <> built_dates.load_id

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

-- A basket has one household, one store and one timestamp (test assert_basket_is_one_visit).
final as (

    select
        basket_id,
        min(source_system) as source_system,
        min(household_id) as household_id,
        min(store_id) as store_id,
        min(business_date) as business_date,
        min(business_week) as business_week,
        min(sold_at) as sold_at,
        count(*) as line_count,
        {{ usd('sum(gross_sales_usd)') }} as gross_sales_usd,
        {{ usd('sum(loyalty_discount_usd)') }} as loyalty_discount_usd,
        {{ usd('sum(coupon_match_discount_usd)') }} as coupon_match_discount_usd,
        {{ usd('sum(net_sales_usd)') }} as net_sales_usd,
        {{ usd('sum(coupon_discount_usd)') }} as coupon_discount_usd,
        {{ usd('sum(customer_paid_usd)') }} as customer_paid_usd,
        max(load_id) as load_id
    from lines_to_build
    group by basket_id

)

select * from final
