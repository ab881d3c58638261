with source as (

    select * from {{ source('retail_db', 'coupon_redemptions') }}

),

renamed as (

    select
        -- ids
        household_id,
        coupon_upc,
        campaign_id,

        -- strings
        _dlt_load_id as load_id,

        -- dates
        cast(redemption_date as date) as redemption_date

    from source

)

select * from renamed
