with lines as (

    select * from {{ ref('int_sales__lines_priced') }}

),

promotions as (

    select * from {{ ref('int_shared__promotions_unioned') }}

),

selling as (

    select
        store_id,
        source_system,
        min(business_date) as first_sale_date
    from lines
    where store_id <> {{ unknown_key() }}
    group by store_id, source_system

),

promoting as (

    select distinct
        store_id,
        source_system
    from promotions
    where store_id is not null

),

identified as (

    select
        coalesce(selling.store_id, promoting.store_id) as store_id,
        coalesce(selling.source_system, promoting.source_system) as source_system,
        selling.first_sale_date
    from selling
    full outer join promoting
        on selling.store_id = promoting.store_id

)

select * from identified
