with lines as (

    select * from {{ ref('int_sales__lines_priced') }}

),

promotions as (

    select * from {{ ref('int_shared__promotions_unioned') }}

),

selling as (

    select
        store_id,
        min(business_date) as first_sale_date
    from lines
    where store_id <> {{ var('unknown_key') }}
    group by store_id

),

promoting as (

    select distinct store_id
    from promotions
    where store_id is not null

),

identified as (

    select
        coalesce(selling.store_id, promoting.store_id) as store_id,
        selling.first_sale_date
    from selling
    full outer join promoting
        on selling.store_id = promoting.store_id

),

attributed as (

    select
        store_id,
        {{ source_system_of('store_id') }} as source_system,
        first_sale_date
    from identified

)

select * from attributed
