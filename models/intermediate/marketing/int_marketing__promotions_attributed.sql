with promotions as (

    select * from {{ ref('int_shared__promotions_unioned') }}

),

attributed as (

    select
        coalesce(product_id, {{ unknown_key() }}) as product_id,
        coalesce(store_id, {{ unknown_key() }}) as store_id,
        source_system,
        business_week,
        display_location,
        mailer_location,
        load_id
    from promotions

)

select * from attributed
