-- Grain: one row a store, and one unknown store.
with stores as (

    select * from {{ ref('int_sales__stores_identified') }}

),

known as (

    select
        store_id,
        source_system,
        first_sale_date,
        false as is_unknown
    from stores

),

unknown as (

    select
        {{ unknown_key() }} as store_id,
        'Unknown' as source_system,
        cast(null as date) as first_sale_date,
        true as is_unknown

),

final as (

    select * from known
    union all
    select * from unknown

)

select * from final
