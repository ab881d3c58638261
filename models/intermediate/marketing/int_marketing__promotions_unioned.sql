with promotion_feed as (

    select * from {{ ref('stg_promotion_feed__promotions') }}

),

-- One feed so far; another one joins here.
unioned as (

    select
        product_id,
        store_id,
        business_week,
        display_location,
        mailer_location,
        load_id
    from promotion_feed

)

select * from unioned
