-- Grain: one row a basket. All amounts and counts add up over any selection of rows.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='business_date',
        on_schema_change='fail',
        pre_hook="{{ delete_dates_without_rows(ref('fct_sales_lines')) }}",
    )
}}
-- depends_on: {{ ref('int_shared__cancelled_lines_unioned') }}

with lines as (

    select * from {{ ref('fct_sales_lines') }}

),

{% if is_incremental() -%}
last_build_of_system as (

    select
        source_system,
        max(load_id) as load_id
    from {{ this }}
    group by source_system

),

new_lines as (

    select lines.*
    from lines
    left join last_build_of_system
        on lines.source_system = last_build_of_system.source_system
    where lines.load_id > coalesce(last_build_of_system.load_id, '')

),

newly_cancelled_lines as (

    select distinct basket_id
    from {{ ref('int_shared__cancelled_lines_unioned') }}
    where load_id > (select coalesce(max(built.load_id), '') from {{ this }} as built)

),

dates_to_build as (

    select business_date
    from new_lines
    union distinct
    -- The date that a changed basket had before.
    select built.business_date
    from {{ this }} as built
    inner join new_lines
        on built.basket_id = new_lines.basket_id
    union distinct
    -- The date of a basket before a line of it was cancelled.
    select built.business_date
    from {{ this }} as built
    inner join newly_cancelled_lines
        on built.basket_id = newly_cancelled_lines.basket_id

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
