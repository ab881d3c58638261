with promotion_feed as (

    select * from {{ ref('stg_promotion_feed__promotions') }}

),

-- One feed so far; another one joins here.
unioned as (

    select
        coalesce(product_id, {{ var('unknown_key') }}) as product_id,
        coalesce(store_id, {{ var('unknown_key') }}) as store_id,
        business_week,
        display_location,
        mailer_location,
        load_id
    from promotion_feed

)

select * from unioned
