with source as (

    select * from {{ source('retail_db', 'coupon_redemptions') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'household_id') }} as household_id,
        {{ source_key('retail_db', 'coupon_upc') }} as coupon_upc,
        {{ source_key('retail_db', 'campaign_id') }} as campaign_id,

        -- strings
        _dlt_load_id as load_id,

        -- dates
        cast(redemption_date as date) as redemption_date

    from source

)

select * from renamed
