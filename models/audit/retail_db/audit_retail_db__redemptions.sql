-- Grain: one row a coupon that a household redeemed on a day, straight from the raw table.
{{ config(materialized='view') }}

with redemptions as (

    select
        'rdb:' || household_id as household_id,
        'rdb:' || campaign_id as campaign,
        cast(redemption_date as date) as redemption_date
    from {{ source('retail_db', 'coupon_redemptions') }}

)

select * from redemptions
