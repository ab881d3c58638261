-- Grain: one row a coupon that a household redeemed on a day, straight from the raw table.
{{ config(materialized='view') }}

with redemptions as (

    select
        household_id,
        cast(campaign_id as {{ dbt.type_string() }}) as campaign,
        cast(redemption_date as date) as redemption_date
    from {{ source('retail_db', 'coupon_redemptions') }}

)

select * from redemptions
